"""Pretraining by masked auto-encoding (He et al. 2022, arXiv:2111.06377), resumed as a run is."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, UInt8
from ml_collections import ConfigDict

from pneumo_jax import augment, runtime
from pneumo_jax.data import order
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.models.mae import MAE, normalised, patchified, unpatchified
from pneumo_jax.training import build, log, loop, optim, steps
from pneumo_jax.training.plan import Plan
from pneumo_jax.training.programs import LONGEST

Images = UInt8[np.ndarray, 'n h w c']


class Programs:
    """The programs of pretraining on `images`, which stay on every device."""

    def __init__(
        self, config: ConfigDict, model: MAE, preprocess: Preprocess, plan: Plan, images: Images
    ) -> None:
        self._plan, self._mesh, self._seed = plan, runtime.mesh(), config.seed
        self.everywhere = runtime.replicated(self._mesh)
        jit = functools.partial(runtime.jit, out_shardings=self.everywhere)
        tx = build.optimiser(config, plan)
        self._init = jit(make_init(model, tx, preprocess.image_shape))
        self.like = jax.eval_shape(self._init, runtime.key(self._seed, 'init'))
        self._longest = LONGEST if runtime.prefers_one_program() else 1
        self._data = runtime.replicate({'image': images}, self._mesh)
        step = make_step(model, tx, preprocess, augment.create(**config.augment))
        self._step = jit(steps.make_train_steps(step, loop=self._longest > 1), donate_argnums=0)

    def init(self) -> steps.TrainState:
        """The state before the first step."""
        return self._init(runtime.key(self._seed, 'init'))

    def advance(
        self, state: steps.TrainState, step: int, end: int
    ) -> tuple[steps.TrainState, int, dict[str, Any]]:
        """As `training.programs.Programs.advance`."""
        count = min(self._longest, end - step)
        chosen = order.batches(
            self._seed, step, self._longest, self._plan.size, self._plan.batch_size
        )
        rows = runtime.shard(chosen, self._mesh, axis=1)
        key = runtime.key(self._seed, 'mae')
        state, metrics = self._step(state, self._data, rows, np.int32(count), key)
        return state, count, metrics


def make_init(
    model: MAE, tx: optax.GradientTransformation, image_shape: tuple[int, int, int]
) -> Callable[[Key[Array, '']], steps.TrainState]:
    """`init(key) -> state` for images of shape (height, width, channels)."""

    def init(key: Key[Array, '']) -> steps.TrainState:
        keys = dict(zip(('params', 'mask'), jax.random.split(key), strict=True))
        return steps.begin(model.init(keys, jnp.zeros((1, *image_shape)), train=False), tx)

    return init


def make_step(
    model: MAE,
    tx: optax.GradientTransformation,
    preprocess: Preprocess,
    change: augment.Augment | None,
) -> Callable[[steps.TrainState, steps.Batch, Key[Array, '']], tuple[steps.TrainState, Any]]:
    """`step(state, batch, key) -> (state, metrics)`, on {'image': uint8 [b h w c]} alone.

    The loss is the mean square error over hidden patches, each normalised by itself.
    """

    def loss_fn(params: Any, images: Float[Array, 'b h w c'], key: Any) -> Float[Array, '']:
        keys = dict(zip(('dropout', 'mask'), jax.random.split(key), strict=True))
        found: Any = model.apply({'params': params}, images, train=True, rngs=keys)
        guess, hidden = found
        wanted, _, _ = normalised(patchified(images, model.patch))
        return jnp.sum(hidden * jnp.mean(jnp.square(guess - wanted), -1)) / hidden.sum()

    def step(state: steps.TrainState, batch: steps.Batch, key: Key[Array, '']) -> Any:
        own = jax.random.fold_in(key, state.step)
        images = preprocess.unit(batch['image'])
        if change:
            images = change(jax.random.fold_in(own, 1), images)
        images = preprocess.normalise(images)
        value, grads = jax.value_and_grad(loss_fn)(state.params, images, jax.random.fold_in(own, 2))
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {'loss': value, 'grad_norm': optim.global_norm(grads)}
        new = {'params': params, 'opt_state': opt_state}
        return dataclasses.replace(state, step=state.step + 1, **new), metrics

    return step


def fit(
    config: ConfigDict,
    model: MAE,
    preprocess: Preprocess,
    images: Images,
    *,
    folder: pathlib.Path,
    meta: dict[str, Any],
    say: Callable[[str], None],
) -> steps.Variables:
    """Pretrain on `images` as `config` says, or go on with it; the variables after the last step.

    Raises:
        UserError: a batch that cannot be, diverged training, or nothing but damaged checkpoints.
        Stopped: Ctrl-C or SIGTERM came; the state is saved.
    """
    plan = build.plan_of(config, len(images))
    programs = Programs(config, model, preprocess, plan, images)
    state = loop.learn(
        config, plan, programs, lambda *_: [], _line, folder=folder, meta=meta, say=say
    )
    return state.variables


def _line(row: log.Row, epochs: int) -> str:
    return (
        f'Epoch {row["epoch"]}/{epochs}, Reconstruction Loss: {row["train_loss"]:.4f}, '
        f'{row["images_per_second"]:.0f} images/s'
    )


def reconstruct(
    model: MAE, preprocess: Preprocess, variables: steps.Variables, images: Images
) -> Float[np.ndarray, 'n 3 h w c']:
    """Every image, what the encoder sees of it, and with the decoder's guess of the rest; 0 to 1.

    A guessed patch has the mean and deviation of the one it stands for: only its form is guessed.
    """

    def pure(variables: steps.Variables, images: Any) -> Float[Array, 'n 3 h w c']:
        unit = preprocess.unit(images)
        found: Any = model.apply(
            variables, preprocess.normalise(unit), train=False, rngs={'mask': jax.random.key(0)}
        )
        guess, hidden = found
        patches = patchified(unit, model.patch)
        _, mean, deviation = normalised(patches)
        hidden = hidden[..., None]
        shown = (
            patches,
            jnp.where(hidden, 0.5, patches),
            jnp.where(hidden, guess * deviation + mean, patches),
        )
        parts = [unpatchified(one, model.patch, preprocess.image_shape) for one in shown]
        return jnp.clip(jnp.stack(parts, 1), 0, 1)

    return np.asarray(runtime.jit(pure)(variables, images))
