"""What a run computes, as compiled programs over a mesh: first weights, training steps, logits."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Key, UInt8

from pneumo_jax import runtime
from pneumo_jax.data import order
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import scoring
from pneumo_jax.training import steps
from pneumo_jax.training.plan import Plan

# Steps in one program, where it has more than one: few enough that Ctrl-C is answered and the bar
# moves within seconds, and so many that the time between two programs does not count.
LONGEST = 64
# Needed once an epoch is over. Importing them takes seconds, and the first steps hide that.
LATER = ('sklearn.metrics', 'tensorboardX')


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a step learns, beside model and optimiser: see `steps.make_train_step`."""

    loss: steps.Loss = optax.softmax_cross_entropy
    augment: steps.Augment | None = None
    mix: steps.Mix | None = None
    sam: float = 0.0
    fixed_norms: bool = False
    ema: float = 0.0
    swa_from: int = 0


class Programs:
    """The programs of one run on `train` and `val`.

    With several `seeds` the models of all of them are trained together, under `vmap`: what a state,
    its metrics and logits hold has a leading axis for them. `given` is asked, where training does
    not go on, for weights that are not to be drawn (`steps.draw`).

    Images that fit on the devices stay there, and a step is only told their indices; else every
    batch is sent. A step is compiled in the background, while the first weights are drawn or
    restored, and what scores is, while the first steps run; a first call waits for its program.
    """

    def __init__(
        self,
        model: nn.Module,
        tx: optax.GradientTransformation,
        preprocess: Preprocess,
        plan: Plan,
        *,
        train: Split,
        val: Split,
        mesh: Mesh,
        seeds: Sequence[int],
        eval_batch_size: int,
        recipe: Recipe,
        views: steps.Views | None = None,
        given: Callable[[], steps.Given] = dict,
    ) -> None:
        self._model, self._preprocess, self._plan = model, preprocess, plan
        self._train, self._val, self._mesh, self._seeds = train, val, mesh, seeds
        self._views, self._several = views, len(seeds) > 1
        self._given = given
        self.everywhere = runtime.replicated(mesh)
        self._worker = futures.ThreadPoolExecutor(1)
        self._key = self._keys('train')
        # It runs once: to be compiled soon counts too. Compiling and running, in s, at XLA's levels
        # 0, 1 and 3: ResNet-18 4.1 + 1.9, 5.1 + .5, 12 + .3; ViT-B 6.1 + 13, 7.9 + 3, 11 + 3.
        averages = bool(recipe.ema or recipe.swa_from)
        init = steps.make_init(model, tx, preprocess.fed_shape, ema=averages)
        self._init = self._jit(
            jax.vmap(init, in_axes=(0, None)) if self._several else init,
            options={'xla_backend_optimization_level': 1},
        )
        self.like = self._shapes()

        stays = runtime.fits(train.images.nbytes + val.images.nbytes)
        self._longest = LONGEST if stays and runtime.prefers_loops() else 1
        data = {'image': train.images, 'label': train.labels}
        self._data = runtime.replicate(data, mesh) if stays else None
        # An even share: 5 batches of 105 for 524 images, not of 128 with 116 blank ones.
        self._rows = -(-len(val) // -(-len(val) // eval_batch_size))
        self._val_batches = list(self._batches(val.images)) if stays else None

        step = steps.make_train_step(model, tx, preprocess, **vars(recipe))
        many = steps.make_train_steps(step, loop=self._longest > 1, seeds=self._several)
        if not stays:
            many = _on_batches(jax.vmap(step) if self._several else step)
        self._step = self._soon(self._jit(many, donate_argnums=0), self.like, *self._feed(0, 1))

    def init(self) -> steps.TrainState:
        """The state before the first step."""
        return self._init(self._keys('init'), self._given())

    def advance(
        self, state: steps.TrainState, step: int, end: int
    ) -> tuple[steps.TrainState, int, dict[str, Any]]:
        """(state, count, metrics) after `count` steps from `step` on, at most to `end`.

        The metrics may still be under way.
        """
        count = min(self._longest, end - step)
        state, metrics = self._step(state, *self._feed(step, count))
        self._predict  # noqa: B018  the first steps hide what this takes
        return state, count, metrics

    def logits(self, variables: steps.Variables, images: UInt8[np.ndarray, 'n h w c']) -> Any:
        """Float32 logits of any images, in their order."""
        return scoring.logits(self._predict, variables, self._batches(images), len(images))

    def val_logits(self, variables: steps.Variables) -> Any:
        """Float32 logits of the validation images, which lie on the devices where they fit."""
        batches = self._val_batches or self._batches(self._val.images)
        return scoring.logits(self._predict, variables, batches, len(self._val))

    @functools.cached_property
    def _predict(self) -> Callable[..., Any]:
        """What scores; and in the background too, what an epoch's end needs is imported.

        Made before the first step, it would keep that from starting: both need the interpreter.
        """
        pure = steps.make_predict(self._model, self._preprocess, self._views)
        pure = jax.vmap(pure, in_axes=(0, None)) if self._several else pure
        batch = next(iter(self._batches(self._val.images)))
        predict = self._soon(self._jit(pure), self.like.scored, batch)
        for name in LATER:
            self._worker.submit(importlib.import_module, name)
        return predict

    def _feed(self, step: int, count: int) -> tuple[Any, ...]:
        """What a program takes beside the state."""
        size, batch_size = self._plan.size, self._plan.batch_size
        chosen = np.stack(
            [order.batches(seed, step, self._longest, size, batch_size) for seed in self._seeds], 1
        )
        chosen = chosen if self._several else chosen[:, 0]
        if self._data is not None:
            indices = runtime.shard(chosen, self._mesh, axis=chosen.ndim - 1)
            return self._data, indices, np.int32(count), self._key
        images, labels = self._train.images[chosen[0]], self._train.labels[chosen[0]]
        batch = {'image': images, 'label': labels}
        return runtime.shard(batch, self._mesh, axis=chosen.ndim - 2), self._key

    def _keys(self, purpose: str) -> Key[Array, '...']:
        """A key, or one for each seed."""
        keys = [runtime.key(seed, purpose) for seed in self._seeds]
        return jnp.stack(keys) if self._several else keys[0]

    def _batches(self, images: UInt8[np.ndarray, 'n h w c']) -> Iterable[UInt8[Array, 'b h w c']]:
        return scoring.batches(images, self._rows, self._mesh)

    def _shapes(self) -> Any:
        """A train state of shapes, each on every device."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.everywhere),
            jax.eval_shape(self._init, self._key, {}),
        )

    def _jit(self, function: Callable[..., Any], **how: Any) -> Any:
        return runtime.jit(function, out_shardings=self.everywhere, **how)

    def _soon(self, jitted: Any, *args: Any) -> Callable[..., Any]:
        """`jitted`, compiled for `args` in the background."""
        program = self._worker.submit(lambda: jitted.lower(*args).compile())
        return lambda *args: program.result()(*args)


def _on_batches(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` for batches that are sent: one a call, and its metrics are a row."""

    def one(state: steps.TrainState, batch: steps.Batch, key: Key[Array, '...']) -> Any:
        state, metrics = step(state, batch, key)
        return state, jax.tree.map(lambda value: value[None], metrics)

    return one
