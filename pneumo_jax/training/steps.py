"""The pure functions of training: initialise, step, predict.

One train step serves `jit`, `jit` over a mesh, `vmap` over seeds and `scan` as it is, and, made
with `axis_name`, `pmap` and `shard_map`. `make_train_steps` runs it on data that the devices hold.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct, traverse_util
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt8

from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.models import layers
from pneumo_jax.training import averaging, optim

Batch = dict[str, Any]  # 'image': UInt8[b h w c], 'label': Int[b]
Metrics = dict[str, Float[Array, '']]
Variables = dict[str, Any]
Given = Mapping[str, np.ndarray | Array]
Images = Float[Array, 'b h w c']  # between 0 and 1
Loss = Callable[[Float[Array, 'b k'], Float[Array, 'b k']], Float[Array, ' b']]
Augment = Callable[[Key[Array, ''], Images], Images]
Mix = Callable[[Key[Array, ''], Images, Float[Array, 'b k']], tuple[Images, Float[Array, 'b k']]]
Views = Callable[[Images], Float[Array, 'v b h w c']]


@struct.dataclass
class TrainState:
    """All that a step changes. `ema` holds averaged variables, or None where they are off."""

    step: Int[Array, '']
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Variables | None

    @property
    def variables(self) -> Variables:
        """What the model is trained with."""
        return {'params': self.params, 'batch_stats': self.batch_stats}

    @property
    def scored(self) -> Variables:
        """What the model is judged with: the averaged variables where there are any."""
        return self.variables if self.ema is None else self.ema


def make_init(
    model: nn.Module,
    tx: optax.GradientTransformation,
    image_shape: tuple[int, int, int],
    *,
    ema: bool = False,
) -> Callable[..., TrainState]:
    """`init(key, given) -> state`; the arguments are those of `draw`."""

    def init(key: Key[Array, ''], given: Given | None = None) -> TrainState:
        return begin(draw(model, image_shape, key, given or {}), tx, ema=ema)

    return init


def draw(
    model: nn.Module, image_shape: tuple[int, int, int], key: Key[Array, ''], given: Given
) -> Variables:
    """A model's first weights for images of shape (height, width, channels).

    What is `given`, by path (`params/head/kernel`), stands in the place of what would be drawn;
    compiled, that is not drawn at all.
    """
    drawn = model.init(key, jnp.zeros((1, *image_shape)), train=False)
    # Copies: a step gives its state away, and must not give away what it was made of.
    own = {name: jnp.copy(value) for name, value in given.items()}
    flat = traverse_util.flatten_dict(drawn, sep='/')
    return traverse_util.unflatten_dict(flat | own, sep='/')


def begin(variables: Any, tx: optax.GradientTransformation, *, ema: bool = False) -> TrainState:
    """The state before the first step, from a model's variables."""
    params, batch_stats = variables['params'], variables.get('batch_stats', {})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=batch_stats,
        opt_state=tx.init(params),
        ema={'params': params, 'batch_stats': batch_stats} if ema else None,
    )


def make_train_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    preprocess: Preprocess,
    *,
    loss: Loss = optax.softmax_cross_entropy,
    augment: Augment | None = None,
    mix: Mix | None = None,
    sam: float = 0.0,
    fixed_norms: bool = False,
    ema: float = 0.0,
    swa_from: int = 0,
    axis_name: str | None = None,
) -> Callable[[TrainState, Batch, Key[Array, '']], tuple[TrainState, Metrics]]:
    """`step(state, batch, key) -> (state, metrics)`; metrics are means over the global batch.

    `key` is the same at every step: the step folds its own number in. Images are augmented, then
    mixed with their targets. `sam` is the radius of sharpness-aware minimisation (Foret et al.
    2021, arXiv:2010.01412); with `fixed_norms` BatchNorm keeps to its running statistics; `ema` and
    `swa_from` say how weights are averaged (`averaging.kept`). Under `pmap` and `shard_map` the
    batch is the device's part, `axis_name` the mapped axis, and the model needs the same one.
    """

    def inputs(batch: Batch, key: Key[Array, '']) -> tuple[Images, Float[Array, 'b k']]:
        images = preprocess.unit(batch['image'])
        targets = jax.nn.one_hot(batch['label'], model.num_classes)
        if augment:
            images = augment(jax.random.fold_in(key, 1), images)
        if mix:
            images, targets = mix(jax.random.fold_in(key, 2), images, targets)
        return preprocess.normalise(images), targets

    def loss_fn(params: Any, state: TrainState, data: Any, key: Key[Array, '']) -> Any:
        with layers.running_statistics() if fixed_norms else contextlib.nullcontext():
            logits, updates = model.apply(
                {'params': params, 'batch_stats': state.batch_stats},
                data[0],
                train=True,
                mutable=['batch_stats'],
                rngs={'dropout': key},
            )
        return loss(logits, data[1]).mean(), (logits, updates.get('batch_stats', {}))

    gradient = jax.value_and_grad(loss_fn, has_aux=True)

    def mean(tree: Any) -> Any:
        return lax.pmean(tree, axis_name) if axis_name else tree

    def step(state: TrainState, batch: Batch, key: Key[Array, '']) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(key, state.step)
        params = state.params
        if axis_name:
            key = jax.random.fold_in(key, lax.axis_index(axis_name))
            # Without this the gradient of replicated parameters is summed over the devices before
            # the mean below, and training goes on silently with N times the gradient.
            params = lax.pcast(params, axis_name, to='varying')
        data = inputs(batch, key)
        (value, (logits, batch_stats)), grads = gradient(params, state, data, key)
        if sam:
            top = optim.ascent(params, mean(grads), sam)
            grads = gradient(top, state, data, key)[1]
        accuracy = jnp.mean(jnp.argmax(logits, -1) == batch['label'])
        grads, metrics = mean((grads, {'loss': value, 'accuracy': accuracy}))
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics['grad_norm'] = optim.global_norm(grads)
        new = {'params': params, 'batch_stats': batch_stats}
        average = state.ema
        if average is not None:
            kept = averaging.kept(state.step, ema=ema, swa_from=swa_from)
            average = jax.tree.map(lambda old, now: old * kept + now * (1 - kept), average, new)
        return TrainState(step=state.step + 1, opt_state=opt_state, ema=average, **new), metrics

    return step


def make_train_steps(
    step: Callable[[TrainState, Batch, Key[Array, '']], tuple[TrainState, Metrics]],
    *,
    loop: bool,
) -> Callable[..., tuple[TrainState, dict[str, Float[Array, ' k']]]]:
    """`many(state, data, indices, n, key) -> (state, metrics)`: the first `n` of `k` steps.

    `data` is a whole split, and step i learns from its rows `indices[i]`, of shape [k, b]. Metrics
    have shape [k], and are 0 from step n on. One program serves every n. Without `loop` it is a
    program of one step, where n is 1: `indices` are those of the k steps from a multiple of k on,
    of which it takes its own, and metrics have shape [1].
    """

    def on_rows(state: TrainState, data: Batch, indices: Int[Array, ' b'], key: Any) -> Any:
        return step(state, jax.tree.map(lambda array: array[indices], data), key)

    def one(state: TrainState, data: Batch, indices: Int[Array, 'k b'], n: Any, key: Any) -> Any:
        state, metrics = on_rows(state, data, indices[state.step % len(indices)], key)
        return state, jax.tree.map(lambda value: value[None], metrics)

    def many(state: TrainState, data: Batch, indices: Int[Array, 'k b'], n: Any, key: Any) -> Any:
        traced = jax.jit(on_rows)  # once, for its shapes and for the loop

        def body(i: Int[Array, ''], carried: Any) -> Any:
            state, metrics = carried
            state, new = traced(state, data, indices[i], key)
            return state, jax.tree.map(lambda row, value: row.at[i].set(value), metrics, new)

        _, shapes = jax.eval_shape(traced, state, data, indices[0], key)
        blank = jax.tree.map(lambda leaf: jnp.zeros(len(indices), leaf.dtype), shapes)
        return lax.fori_loop(0, n, body, (state, blank))

    return many if loop else one


def make_predict(
    model: nn.Module, preprocess: Preprocess, views: Views | None = None
) -> Callable[[Variables, UInt8[Array, 'b h w c']], Float[Array, 'b k']]:
    """`predict(variables, images) -> logits`, with running statistics and without dropout.

    With `views` they are the logarithms of the views' mean probabilities.
    """

    def logits(variables: Variables, images: Images) -> Float[Array, 'b k']:
        found: Any = model.apply(variables, preprocess.normalise(images), train=False)
        return found

    def predict(variables: Variables, images: UInt8[Array, 'b h w c']) -> Float[Array, 'b k']:
        unit = preprocess.unit(images)
        if views is None:
            return logits(variables, unit)
        looks = views(unit)
        each = [logits(variables, looks[i]) for i in range(len(looks))]  # as jax2onnx can read it
        seen = jax.nn.log_softmax(jnp.stack(each))
        return jax.nn.logsumexp(seen, 0) - jnp.log(len(seen))

    return predict
