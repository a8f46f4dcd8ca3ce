"""What a run computes, as compiled programs over a mesh: first weights, training steps, logits."""

import functools
import importlib
from collections.abc import Callable, Iterable
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
from pneumo_jax.training import steps
from pneumo_jax.training.plan import Plan

# Steps in one program, where it has more than one: few enough that Ctrl-C is answered and the bar
# moves within seconds, and so many that the time between two programs does not count.
LONGEST = 64
# Needed once an epoch is over. Importing them takes seconds, and the first steps hide that.
LATER = ('sklearn.metrics', 'tensorboardX')


class Programs:
    """The programs of one run on `train` and `val`.

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
        seed: int,
        ema: float,
        eval_batch_size: int,
    ) -> None:
        self._model, self._preprocess, self._plan = model, preprocess, plan
        self._train, self._val, self._mesh, self._seed = train, val, mesh, seed
        self.everywhere = runtime.replicated(mesh)
        self._worker = futures.ThreadPoolExecutor(1)
        self._key = runtime.key(seed, 'train')
        # It runs once, and unoptimised code is there four times sooner (ResNet-18: 4.2 s, 16 s).
        self.init: Callable[[Key[Array, '']], steps.TrainState] = self._jit(
            steps.make_init(model, tx, preprocess.image_shape, ema=ema > 0),
            options={'xla_backend_optimization_level': 0},
        )
        self.like = self._shapes()

        stays = runtime.fits(train.images.nbytes + val.images.nbytes)
        self._longest = LONGEST if stays and runtime.prefers_loops() else 1
        data = {'image': train.images, 'label': train.labels}
        self._data = runtime.replicate(data, mesh) if stays else None
        # An even share: 5 batches of 105 for 524 images, not of 128 with 116 blank ones.
        self._rows = -(-len(val) // -(-len(val) // eval_batch_size))
        self._val_batches = list(self._batches(val.images)) if stays else None

        step = steps.make_train_step(model, tx, preprocess, ema_decay=ema)
        many = steps.make_train_steps(step, loop=self._longest > 1) if stays else step
        self._step = self._soon(self._jit(many, donate_argnums=0), self.like, *self._feed(0, 1))

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
        pure = steps.make_predict(self._model, self._preprocess)
        batch = next(iter(self._batches(self._val.images)))
        predict = self._soon(self._jit(pure), self.like.scored, batch)
        for name in LATER:
            self._worker.submit(importlib.import_module, name)
        return predict

    def _feed(self, step: int, count: int) -> tuple[Any, ...]:
        """What a program takes beside the state."""
        size, batch_size = self._plan.size, self._plan.batch_size
        chosen = order.batches(self._seed, step, self._longest, size, batch_size)
        if self._data is not None:
            indices = runtime.shard(chosen, self._mesh, axis=1)
            return self._data, indices, np.int32(count), self._key
        images, labels = self._train.images[chosen[0]], self._train.labels[chosen[0]]
        return runtime.shard({'image': images, 'label': labels}, self._mesh), self._key

    def _batches(self, images: UInt8[np.ndarray, 'n h w c']) -> Iterable[UInt8[Array, 'b h w c']]:
        return scoring.batches(images, self._rows, self._mesh)

    def _shapes(self) -> Any:
        """A train state of shapes, each on every device."""
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.everywhere),
            jax.eval_shape(self.init, self._key),
        )

    def _jit(self, function: Callable[..., Any], **how: Any) -> Any:
        return runtime.jit(function, out_shardings=self.everywhere, **how)

    def _soon(self, jitted: Any, *args: Any) -> Callable[..., Any]:
        """`jitted`, compiled for `args` in the background."""
        program = self._worker.submit(lambda: jitted.lower(*args).compile())
        return lambda *args: program.result()(*args)
