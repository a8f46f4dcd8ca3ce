"""The loop: steps, and after every epoch validation, a line, a log row and a checkpoint.

It is given the training and the validation split, never the test split.
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from pneumo_jax import errors, runtime
from pneumo_jax.data import order
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import metrics, scoring
from pneumo_jax.training import interrupt, log, optim, steps
from pneumo_jax.training.checkpoint import Checkpoints
from pneumo_jax.training.plan import Plan

Say = Callable[[str], None]
Logits = Callable[[steps.Variables, Any], Any]


def fit(
    config: ConfigDict,
    model: nn.Module,
    preprocess: Preprocess,
    *,
    train: Split,
    val: Split,
    folder: pathlib.Path,
    meta: dict[str, Any],
    say: Say,
    prefix: str = '',
) -> tuple[steps.Variables, Logits]:
    """Train as `config` says, on every device, and return what is to be scored and the scorer.

    What `folder` holds of an earlier, stopped run is resumed, to the same bits. `meta` goes into
    every checkpoint, `prefix` before every line.

    Raises:
        UserError: a batch that cannot be, diverged training, or nothing but damaged checkpoints.
        Stopped: Ctrl-C or SIGTERM came; the state is saved.
    """
    mesh = runtime.mesh()
    plan = plan_of(config, len(train))
    init, train_step, predict = _compiled(config, model, preprocess, plan, mesh)

    def logits(variables: steps.Variables, images: Any) -> Any:
        return scoring.logits(
            predict, variables, images, batch_size=config.eval_batch_size, mesh=mesh
        )

    checkpoints = Checkpoints(folder / 'checkpoints', config.checkpoint.best, say)
    with checkpoints, interrupt.StopRequest() as stop:
        state, meter, step = _begin(checkpoints, init, config.seed, mesh, meta)
        if step:
            say(f'{prefix}resuming after step {step} of {plan.total}')

        def save(scores: dict[str, float] | None = None) -> None:
            checkpoints.save(step, state, {**meta, 'meter': meter.state()}, scores)
            if stop.signum and step < plan.total:
                raise errors.Stopped(stop.signum, step, plan.total)

        key, every = runtime.key(config.seed, 'train'), config.checkpoint.steps
        with log.Log(folder, step, enabled=runtime.is_main()) as writer, _bar(plan, step) as bar:
            for epoch, end in plan.epochs_after(step):
                started, first = time.perf_counter(), step
                while step < end:
                    chosen = order.indices(config.seed, step, plan.size, plan.batch_size)
                    batch = {'image': train.images[chosen], 'label': train.labels[chosen]}
                    state, step_metrics = train_step(state, runtime.shard(batch, mesh), key)
                    step += 1
                    meter.add(step, step_metrics)
                    bar.update()
                    stop.poll(step)
                    if step < end and (stop.signum or (every and step % every == 0)):
                        save()
                means = meter.means()
                speed = (step - first) * plan.batch_size / (time.perf_counter() - started)
                scores = _validate(logits(state.scored, val.images), val, step)
                row = log.row(epoch, step, means, scores, speed)
                say(log.line(row, plan.epochs, prefix))
                writer.write(row)
                meter = log.Meter()
                save(scores)
        if config.weights == 'best':
            state, _, step = checkpoints.restore_best(_like(init), runtime.replicated(mesh))
            say(f'{prefix}scoring step {step}, the best by val {config.checkpoint.best}')
        return state.scored, logits


def plan_of(config: ConfigDict, size: int) -> Plan:
    """How long `config` trains on `size` images; a batch that cannot be is a `UserError`."""
    runtime.check_batch_size('batch_size', config.batch_size, runtime.mesh().size)
    return Plan.of(size, config.batch_size, config.epochs, config.steps)


def _begin(
    checkpoints: Checkpoints, init: Callable[..., Any], seed: int, mesh: Any, meta: dict[str, Any]
) -> tuple[steps.TrainState, log.Meter, int]:
    """(state, meter, steps done) of the latest checkpoint, or of a new run."""
    restored = checkpoints.restore_latest(_like(init), runtime.replicated(mesh))
    if restored is None:
        return init(runtime.key(seed, 'init')), log.Meter(), 0
    state, kept, step = restored
    for name, value in meta.items():
        if kept[name] != value:
            raise errors.UserError(
                f'the checkpoint was trained with {name} {kept[name]}, this run has {value}; '
                'give another --workdir.'
            )
    return state, log.Meter.of(kept['meter']), step


def _like(init: Callable[..., Any]) -> Any:
    """The shapes of a train state."""
    return jax.eval_shape(init, runtime.key(0, 'init'))


def _validate(logits: Any, val: Split, step: int) -> metrics.Scores:
    if not np.isfinite(logits).all():
        raise log.not_finite(f'an output for the validation images after step {step}')
    return metrics.classification(logits, val.labels)


def _bar(plan: Plan, step: int) -> Any:
    """A progress bar with the time left, on the terminal of the main process alone."""
    off = None if runtime.is_main() else True
    return tqdm(total=plan.total, initial=step, unit='step', disable=off, leave=False)


def _compiled(
    config: ConfigDict, model: nn.Module, preprocess: Preprocess, plan: Plan, mesh: Any
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """(init, train_step, predict), each one program over the whole mesh."""
    everywhere = runtime.replicated(mesh)
    tx = optim.create(
        name=config.optim.name,
        lr=config.optim.lr,
        schedule=config.optim.schedule,
        warmup_steps=plan.steps_in(config.optim.warmup_epochs),
        total_steps=plan.total,
        weight_decay=config.optim.weight_decay,
        clip_norm=config.optim.clip_norm,
    )
    ema = config.optim.ema
    init = steps.make_init(model, tx, preprocess.image_shape, ema=ema > 0)
    train_step = steps.make_train_step(model, tx, preprocess, ema_decay=ema)
    predict = steps.make_predict(model, preprocess)
    # It runs once, and unoptimised code is there four times sooner (ResNet-18: 4.2 s against 16).
    quick = {'xla_backend_optimization_level': 0}
    return (
        jax.jit(init, out_shardings=everywhere, compiler_options=quick),
        jax.jit(train_step, out_shardings=everywhere, donate_argnums=0),
        jax.jit(predict, out_shardings=everywhere),
    )
