"""The pure functions of training: initialise, step, predict.

One train step serves `jit`, `jit` over a mesh, `vmap` over seeds and `scan` as it is, and, made
with `axis_name`, `pmap` and `shard_map`. `make_train_steps` runs it on data that the devices hold.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import lax
from jaxtyping import Array, Float, Int, Key, UInt8

from pneumo_jax.training import optim

Batch = dict[str, Any]  # 'image': UInt8[b h w c], 'label': Int[b]
Metrics = dict[str, Float[Array, '']]
Variables = dict[str, Any]
Loss = Callable[[Float[Array, 'b k'], Int[Array, ' b']], Float[Array, ' b']]


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
) -> Callable[[Key[Array, '']], TrainState]:
    """`init(key) -> state` for images of shape (height, width, channels)."""

    def init(key: Key[Array, '']) -> TrainState:
        variables = model.init(key, jnp.zeros((1, *image_shape)), train=False)
        params, batch_stats = variables['params'], variables.get('batch_stats', {})
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            batch_stats=batch_stats,
            opt_state=tx.init(params),
            ema={'params': params, 'batch_stats': batch_stats} if ema else None,
        )

    return init


def make_train_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    preprocess: Callable[[UInt8[Array, 'b h w c']], Float[Array, 'b h w c']],
    *,
    loss: Loss = optax.softmax_cross_entropy_with_integer_labels,
    ema_decay: float = 0.0,
    axis_name: str | None = None,
) -> Callable[[TrainState, Batch, Key[Array, '']], tuple[TrainState, Metrics]]:
    """`step(state, batch, key) -> (state, metrics)`; metrics are means over the global batch.

    `key` is the same at every step: the step folds its own number in. Under `pmap` and `shard_map`
    the batch is the device's part, `axis_name` the mapped axis, and the model needs the same one.
    """

    def loss_fn(params: Any, batch_stats: Any, batch: Batch, key: Key[Array, '']) -> Any:
        logits, updates = model.apply(
            {'params': params, 'batch_stats': batch_stats},
            preprocess(batch['image']),
            train=True,
            mutable=['batch_stats'],
            rngs={'dropout': key},
        )
        return loss(logits, batch['label']).mean(), (logits, updates.get('batch_stats', {}))

    def step(state: TrainState, batch: Batch, key: Key[Array, '']) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(key, state.step)
        params = state.params
        if axis_name:
            key = jax.random.fold_in(key, lax.axis_index(axis_name))
            # Without this the gradient of replicated parameters is summed over the devices before
            # the mean below, and training goes on silently with N times the gradient.
            params = lax.pcast(params, axis_name, to='varying')
        (value, (logits, batch_stats)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            params, state.batch_stats, batch, key
        )
        accuracy = jnp.mean(jnp.argmax(logits, -1) == batch['label'])
        metrics = {'loss': value, 'accuracy': accuracy}
        if axis_name:
            grads, metrics = lax.pmean((grads, metrics), axis_name)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics['grad_norm'] = optim.global_norm(grads)
        new = {'params': params, 'batch_stats': batch_stats}
        return TrainState(
            step=state.step + 1,
            opt_state=opt_state,
            ema=None if state.ema is None else average(state.ema, new, state.step, ema_decay),
            **new,
        ), metrics

    return step


def make_train_steps(
    step: Callable[[TrainState, Batch, Key[Array, '']], tuple[TrainState, Metrics]], *, loop: bool
) -> Callable[..., tuple[TrainState, dict[str, Float[Array, ' k']]]]:
    """`many(state, data, indices, n, key) -> (state, metrics)`: the first `n` of `k` steps.

    `data` is a whole split, and step i learns from its rows `indices[i]`, of shape [k, b]. Metrics
    have shape [k], and are 0 from step n on. One program serves every n; without `loop` it is a
    program of one step, where k and n are 1.
    """

    def one(
        state: TrainState, data: Batch, indices: Int[Array, '1 b'], n: Any, key: Key[Array, '']
    ) -> Any:
        state, metrics = step(state, _rows(data, indices[0]), key)
        return state, jax.tree.map(lambda value: value[None], metrics)

    def many(
        state: TrainState, data: Batch, indices: Int[Array, 'k b'], n: Any, key: Key[Array, '']
    ) -> Any:
        traced = jax.jit(step)  # once, for its shapes and for the loop

        def body(i: Int[Array, ''], carried: Any) -> Any:
            state, metrics = carried
            state, new = traced(state, _rows(data, indices[i]), key)
            return state, jax.tree.map(lambda row, value: row.at[i].set(value), metrics, new)

        _, shapes = jax.eval_shape(traced, state, _rows(data, indices[0]), key)
        blank = jax.tree.map(lambda leaf: jnp.zeros(len(indices), leaf.dtype), shapes)
        return lax.fori_loop(0, n, body, (state, blank))

    return many if loop else one


def _rows(data: Batch, indices: Int[Array, ' b']) -> Batch:
    return jax.tree.map(lambda array: array[indices], data)


def average(ema: Variables, new: Variables, step: Int[Array, ''], decay: float) -> Variables:
    """One step of an exponential moving average, of weights and BatchNorm statistics alike.

    The decay grows as (1 + step) / (10 + step) up to `decay`, so that the first, random weights
    are forgotten early (TensorFlow's `ExponentialMovingAverage` with `num_updates`).
    """
    kept = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, now: old * kept + now * (1 - kept), ema, new)


def make_predict(
    model: nn.Module, preprocess: Callable[[UInt8[Array, 'b h w c']], Float[Array, 'b h w c']]
) -> Callable[[Variables, UInt8[Array, 'b h w c']], Float[Array, 'b k']]:
    """`predict(variables, images) -> logits`, with running statistics and without dropout."""

    def predict(variables: Variables, images: UInt8[Array, 'b h w c']) -> Float[Array, 'b k']:
        logits: Any = model.apply(variables, preprocess(images), train=False)
        return logits

    return predict
