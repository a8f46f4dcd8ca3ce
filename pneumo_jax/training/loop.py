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
    runtime.check_batch_size('batch_size', config.batch_size, mesh.size)
    plan = Plan.of(len(train), config.batch_size, config.epochs, config.steps)
    init, train_step, predict = _compiled(config, model, preprocess, plan, mesh)
    like = jax.eval_shape(init, runtime.key(config.seed, 'init'))

    def logits(variables: steps.Variables, images: Any) -> Any:
        return scoring.logits(
            predict, variables, images, batch_size=config.eval_batch_size, mesh=mesh
        )

    key = runtime.key(config.seed, 'train')
    checkpoints = Checkpoints(folder / 'checkpoints', config.checkpoint.best, say)
    with checkpoints, interrupt.StopRequest() as stop:
        restored = checkpoints.restore_latest(like, runtime.replicated(mesh))
        if restored is None:
            state, meter, step = init(runtime.key(config.seed, 'init')), log.Meter(), 0
        else:
            state, kept, step = restored
            _check_same(kept, meta)
            meter = log.Meter.of(kept['meter'])
            say(f'{prefix}resuming after step {step} of {plan.total}')

        def save(scores: dict[str, float] | None = None) -> None:
            checkpoints.save(step, state, {**meta, 'meter': meter.state()}, scores)

        writer = log.Log(folder, step, enabled=runtime.is_main())
        bar = tqdm(total=plan.total, initial=step, unit='step', disable=_bar_off(), leave=False)
        for epoch, end in plan.epochs_after(step):
            started, first = time.perf_counter(), step
            while step < end:
                batch = _take(train, order.indices(config.seed, step, plan.size, plan.batch_size))
                state, step_metrics = train_step(state, runtime.shard(batch, mesh), key)
                step += 1
                meter.add(step, step_metrics)
                bar.update()
                if step < end and stop.at(step):
                    save()
                    raise errors.Stopped(stop.signum, step, plan.total)
                if step < end and config.checkpoint.steps and step % config.checkpoint.steps == 0:
                    save()
            means = meter.means()
            seconds = time.perf_counter() - started
            val_logits = logits(state.scored, val.images)
            if not np.isfinite(val_logits).all():
                raise log.not_finite(f'an output for the validation images after step {step}')
            scores = metrics.classification(val_logits, val.labels)
            row = log.row(epoch, step, means, scores, (step - first) * plan.batch_size / seconds)
            say(log.line(row, plan.epochs, prefix))
            writer.write(row)
            meter = log.Meter()
            save(scores)
            if step < plan.total and stop.at(step):
                raise errors.Stopped(stop.signum, step, plan.total)
        bar.close()
        writer.close()
        if config.weights == 'best':
            state, _, step = checkpoints.restore_best(like, runtime.replicated(mesh))
            say(f'{prefix}scoring step {step}, the best by val {config.checkpoint.best}')
        return state.scored, logits


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


def _check_same(kept: dict[str, Any], meta: dict[str, Any]) -> None:
    """Refuse a checkpoint of another model, other classes or another preprocessing."""
    for name, value in meta.items():
        if kept[name] != value:
            raise errors.UserError(
                f'the checkpoint was trained with {name} {kept[name]}, this run has {value}; '
                'give another --workdir.'
            )


def _take(split: Split, indices: Any) -> steps.Batch:
    return {'image': split.images[indices], 'label': split.labels[indices]}


def _bar_off() -> bool | None:
    """No bar but on the terminal of the main process."""
    return None if runtime.is_main() else True
