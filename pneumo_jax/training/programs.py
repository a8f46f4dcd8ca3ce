"""What a run computes, as compiled programs over a mesh: first weights, training steps, logits."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Key, UInt8

from pneumo_jax import runtime
from pneumo_jax.data import order
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import scoring
from pneumo_jax.training import checkpoint, steps
from pneumo_jax.training import seeds as side
from pneumo_jax.training.plan import Plan

# Steps in one program, where it has more than one: few enough that Ctrl-C is answered and the bar
# moves within seconds, and so many that the time between two programs does not count. Where it has
# one, the images of so many steps are chosen at once: that takes .2 ms, a quickstart's step 5.
LONGEST = 64
# Needed once an epoch is over. Importing them takes seconds, and the first steps hide that.
LATER = (checkpoint.LIBRARY, 'sklearn.metrics', 'tensorboardX')
State = steps.TrainState | tuple[steps.TrainState, ...]  # of one seed, or of each of several
OWN = (True, False, True, False, True)  # what each has of a program's state, data, rows, n and key


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

    With several `seeds` the models of all of them are trained together (`training/seeds.py`):
    their states and variables are tuples, and logits have a leading axis for them. `given` is
    asked, where training does not go on, for weights that are not to be drawn (`steps.draw`).

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
        self._keys = [runtime.key(seed, 'train') for seed in seeds]
        # It runs once: to be compiled soon counts too. Compiling and running, in s, at XLA's levels
        # 0, 1 and 3: ResNet-18 4.1 + 1.9, 5.1 + .5, 12 + .3; ViT-B 6.1 + 13, 7.9 + 3, 11 + 3.
        averages = bool(recipe.ema or recipe.swa_from)
        init = steps.make_init(model, tx, preprocess.fed_shape, ema=averages)
        self._init = self._jit(init, options={'xla_backend_optimization_level': 1})
        self._like_one = self._shapes()
        self.like = self._of([self._like_one] * len(seeds))

        stays = runtime.fits(train.images.nbytes + val.images.nbytes)
        self._longest = LONGEST if stays and runtime.prefers_one_program() else 1
        self._chosen: tuple[int, Any] = -1, None  # by the first of its steps
        data = {'image': train.images, 'label': train.labels}
        self._data = runtime.replicate(data, mesh) if stays else None
        # An even share: 5 batches of 105 for 524 images, not of 128 with 116 blank ones.
        self._rows = -(-len(val) // -(-len(val) // eval_batch_size))
        self._val_batches = list(self._batches(val.images)) if stays else None

        height, width = train.images.shape[1:3]  # augmentation shrinks larger ones
        stored = dataclasses.replace(preprocess, height=height, width=width)
        step = steps.make_train_step(model, tx, stored, **vars(recipe))
        many = steps.make_train_steps(step, loop=self._longest > 1) if stays else _on_batches(step)
        first = self.like, *self._feed(0, 1)
        jit = functools.partial(self._jit, donate_argnums=0)
        self._step = self._soon(
            lambda: (
                side.compiled(many, OWN, first, jit, mesh)
                if self._several
                else jit(many).lower(*first).compile()
            )
        )

    def init(self) -> State:
        """The state before the first step."""
        given = self._given()
        return self._of([self._init(runtime.key(seed, 'init'), given) for seed in self._seeds])

    def advance(self, state: State, step: int, end: int) -> tuple[State, int, dict[str, Any]]:
        """(state, count, metrics) after `count` steps from `step` on, at most to `end`.

        The metrics may still be under way.
        """
        count = min(self._longest, end - step)
        state, metrics = self._step(state, *self._feed(step, count))
        self._predict  # noqa: B018  the first steps hide what this takes
        return state, count, metrics

    def logits(self, variables: Any, images: UInt8[np.ndarray, 'n h w c']) -> Any:
        """Float32 logits of any images, in their order."""
        return self._logits(variables, lambda: self._batches(images), len(images))

    def val_logits(self, variables: Any) -> Any:
        """Float32 logits of the validation images, which lie on the devices where they fit."""
        batches = self._val_batches
        return self._logits(
            variables, lambda: batches or self._batches(self._val.images), len(self._val)
        )

    def _logits(self, variables: Any, batches: Callable[[], Iterable[Any]], size: int) -> Any:
        each = variables if self._several else (variables,)
        found = [scoring.logits(self._predict, one, batches(), size) for one in each]
        return np.stack(found) if self._several else found[0]

    @functools.cached_property
    def _predict(self) -> Callable[..., Any]:
        """What scores; and in the background too, what an epoch's end needs is imported.

        Made before the first step, it would keep that from starting: both need the interpreter.
        """
        pure = steps.make_predict(self._model, self._preprocess, self._views)
        batch = next(iter(self._batches(self._val.images)))
        like = self._like_one.scored
        predict = self._soon(lambda: self._jit(pure).lower(like, batch).compile())
        for name in LATER:
            self._worker.submit(importlib.import_module, name)
        return predict

    def _feed(self, step: int, count: int) -> tuple[Any, ...]:
        """What a program takes beside the state; `OWN` says what of it every seed has."""
        alone = self._longest > 1 or self._data is None
        first = step if alone else step // LONGEST * LONGEST
        if first != self._chosen[0]:
            self._chosen = first, self._of([self._choose(seed, first) for seed in self._seeds])
        return self._data, self._chosen[1], np.int32(count), self._of(self._keys)

    def _choose(self, seed: int, step: int) -> Any:
        """Indices of the images of the steps from `step` on, or those that are sent, themselves."""
        size, batch_size = self._plan.size, self._plan.batch_size
        if self._data is not None:
            indices = order.batches(seed, step, LONGEST, size, batch_size)
            return runtime.shard(indices, self._mesh, axis=1)
        indices = order.indices(seed, step, size, batch_size)
        batch = {'image': self._train.images[indices], 'label': self._train.labels[indices]}
        return runtime.shard(batch, self._mesh)

    def _of(self, each: Sequence[Any]) -> Any:
        """What the only seed has, or a tuple of what each has."""
        return tuple(each) if self._several else each[0]

    def _batches(self, images: UInt8[np.ndarray, 'n h w c']) -> Iterable[UInt8[Array, 'b h w c']]:
        return scoring.batches(images, self._rows, self._mesh)

    def _shapes(self) -> Any:
        """A train state of shapes, each on every device."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.everywhere),
            jax.eval_shape(self._init, self._keys[0], {}),
        )

    def _jit(self, function: Callable[..., Any], **how: Any) -> Any:
        return runtime.jit(function, out_shardings=self.everywhere, **how)

    def _soon(self, compiled: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
        """What `compiled` gives, made in the background."""
        program = self._worker.submit(compiled)
        return lambda *args: program.result()(*args)


def _on_batches(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` for batches that are sent: one a call, and its metrics are a row."""

    def one(
        state: steps.TrainState, data: None, batch: steps.Batch, n: Any, key: Key[Array, '']
    ) -> Any:
        state, metrics = step(state, batch, key)
        return state, jax.tree.map(lambda value: value[None], metrics)

    return one
