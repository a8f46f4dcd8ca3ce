"""The optimiser: one visible chain."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from pneumo_jax.models import heads

# Which leaves weight decay acts on, by the last part of their path. Biases, norms and embeddings
# are left alone (He et al. 2019, *Bag of Tricks*; Dosovitskiy et al. 2021).
DECAYED = {
    'kernel': True,
    'bias': False,
    'scale': False,
    'gamma': False,
    'ls1': False,
    'ls2': False,
    'cls_token': False,
    'pos_embed': False,
    'decoder_mask_token': False,
    'decoder_pos_embed': False,
}

DIRECTIONS = {
    'adam': optax.scale_by_adam,
    'sgd': partial(optax.trace, decay=0.9, nesterov=True),
    'lamb': partial(optax.scale_by_adam, eps=1e-6),  # You et al. 2020 (arXiv:1904.00962)
    'lion': optax.scale_by_lion,  # Chen et al. 2023 (arXiv:2302.06675)
}

SMALL = 2**14  # numbers in a leaf: those with fewer are summed together

# By the first part of a leaf's path, from the stem to the head; a number counts within its row.
LAYERS = (
    r'patch_embed_proj|cls_token|pos_embed|stem_[01]|features_(?:conv|norm)0',
    r'(?:conv|bn)(\d+)',
    r'(?:layer|blocks_|stages_|features_(?:denseblock|transition))(\d+).*',
    r'fc(\d+)',
    r'norm|head|head_norm|head_fc|fc|features_norm5|classifier',
)


def create(
    *,
    name: str,
    lr: float,
    schedule: str,
    warmup_steps: int,
    total_steps: int,
    weight_decay: float,
    clip_norm: float,
    layer_decay: float = 1.0,
    freeze_steps: int = 0,
) -> optax.GradientTransformation:
    """Clip, direction, decoupled weight decay, learning rate; what is off is left out.

    LAMB then scales a leaf's change to the leaf's own norm, and `layer_decay` below 1 makes it
    smaller the further from the head the leaf is. For the first `freeze_steps` steps only the head
    is changed.
    """
    rate = learning_rate(lr, schedule, warmup_steps, total_steps)
    return optax.chain(
        clip(clip_norm) if clip_norm else optax.identity(),
        DIRECTIONS[name](),
        optax.add_decayed_weights(weight_decay, decay_mask) if weight_decay else optax.identity(),
        optax.scale_by_trust_ratio() if name == 'lamb' else optax.identity(),
        scale_by_layer(layer_decay) if layer_decay != 1 else optax.identity(),
        optax.scale_by_learning_rate(rate),
        # Only where it is on: a chain of one more part cannot go on from older checkpoints.
        *([head_first(freeze_steps)] if freeze_steps else []),
    )


def global_norm(grads: Any) -> Float[Array, '']:
    """The Euclidean norm over all leaves.

    As products of vectors, the small leaves in one: for every sum XLA compiles a program of its
    own. Without the barrier it writes the squares of all gradients to memory first (6.4 million
    weights on 2 cores: 3.2 ms, against 1.4).
    """
    leaves = [leaf.astype(jnp.float32).ravel() for leaf in jax.tree.leaves(grads)]
    vectors = [leaf for leaf in leaves if leaf.size >= SMALL]
    if small := [leaf for leaf in leaves if leaf.size < SMALL]:
        vectors.append(jnp.concatenate(small))
    return jnp.sqrt(sum(jnp.vdot(one, lax.optimization_barrier(one)) for one in vectors))


def clip(limit: float) -> optax.GradientTransformation:
    """Scale gradients so that their global norm is at most `limit` (Pascanu et al. 2013)."""

    def update(updates: Any, params: Any = None) -> Any:
        scale = jnp.minimum(1, limit / jnp.maximum(global_norm(updates), limit * 1e-6))
        return jax.tree.map(lambda leaf: leaf * scale, updates)

    return optax.stateless(update)


def learning_rate(
    peak: float, schedule: str, warmup_steps: int, total_steps: int
) -> optax.Schedule:
    """Linear warm-up from zero, then constant, or half a cosine to zero at `total_steps`.

    'onecycle' has a warm-up of its own, by default a quarter of the steps.
    """
    if schedule == 'onecycle':
        return onecycle(peak, warmup_steps or total_steps // 4, total_steps)
    after = {
        'constant': optax.constant_schedule(peak),
        'cosine': optax.cosine_decay_schedule(peak, max(1, total_steps - warmup_steps)),
    }[schedule]
    if not warmup_steps:
        return after
    warmup = optax.linear_schedule(0.0, peak, warmup_steps)
    return optax.join_schedules([warmup, after], [warmup_steps])


def onecycle(peak: float, warmup_steps: int, total_steps: int) -> optax.Schedule:
    """Half a cosine from peak / 25 up, and one down to peak / 250,000 at `total_steps`.

    Smith & Topin 2018 (arXiv:1708.07120) with the constants of torch's OneCycleLR, which has both
    turning points one step earlier. Momentum is not cycled.
    """
    down = optax.cosine_decay_schedule(peak, max(1, total_steps - warmup_steps), 1 / 25e4)
    if not warmup_steps:
        return down
    up = optax.cosine_decay_schedule(peak / 25, warmup_steps, 25)
    return optax.join_schedules([up, down], [warmup_steps])


def scale_by_layer(decay: float) -> optax.GradientTransformation:
    """Times `decay` for every layer between a leaf and the head (BEiT: Bao et al. 2022)."""

    def update(updates: Any, params: Any = None) -> Any:
        numbers = layers(updates)
        head = max(jax.tree.leaves(numbers))
        return jax.tree.map(lambda leaf, n: leaf * decay ** (head - n), updates, numbers)

    return optax.stateless(update)


def head_first(steps: int) -> optax.GradientTransformation:
    """No change of anything but the head for the first `steps` steps.

    What stands still is seen by the parts before this one all the same, so that Adam knows the size
    of its gradients when it is let go.
    """

    def init(params: Any) -> Int[Array, '']:
        return jnp.zeros((), jnp.int32)

    def update(updates: Any, count: Any, params: Any = None) -> Any:
        head = heads.name(updates)
        rest = {
            name: jax.tree.map(lambda leaf: jnp.where(count < steps, 0, leaf), leaves)
            for name, leaves in updates.items()
            if name != head
        }
        return {**rest, head: updates[head]}, count + 1

    return optax.GradientTransformation(init, update)


def layers(params: Any) -> Any:
    """A tree of layer numbers: 0 for the stem, then one more per block or stage, and the head.

    Layers are the blocks of a ViT, the stages of other nets, the single layers of plain ones. A
    name that `LAYERS` lacks is a KeyError.
    """
    places = {name: _place(name) for name in params}
    order = sorted(set(places.values()))
    return jax.tree_util.tree_map_with_path(
        lambda path, _: order.index(places[path[0].key]), params
    )


def _place(name: str) -> tuple[int, int]:
    for row, pattern in enumerate(LAYERS):
        if match := re.fullmatch(pattern, name):
            return row, int(match[1]) if match.re.groups else 0
    raise KeyError(name)


def ascent(params: Any, grads: Any, rho: float) -> Any:
    """The weights `rho` up the gradient, where SAM takes its gradient (Foret et al. 2021).

    arXiv:2010.01412; the norm is over all leaves, and no gradient at all moves nothing.
    """
    scale = rho / jnp.maximum(global_norm(grads), 1e-12)
    return jax.tree.map(lambda leaf, slope: leaf + scale * slope, params, grads)


def decay_mask(params: Any) -> Any:
    """A tree of booleans: whether weight decay acts on the leaf. An unlisted name is a KeyError."""
    return jax.tree_util.tree_map_with_path(lambda path, _: DECAYED[path[-1].key], params)
