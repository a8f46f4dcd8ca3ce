"""The loop: steps, and after every epoch validation, a line, a log row and a checkpoint.

It is given the training and the validation split, never the test split.
"""

import itertools
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any, Protocol

import flax.linen as nn
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from pneumo_jax import errors, runtime
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import metrics
from pneumo_jax.training import build, interrupt, log, seeds, steps, workdir
from pneumo_jax.training.checkpoint import Checkpoints
from pneumo_jax.training.plan import Plan

# Seconds between two checkpoints, unless an epoch takes longer: one takes 40 ms of a core, which is
# a tenth of a quickstart's epoch (without it 95 % of the bare step's rate, and not 85).
APART = 2.0
Say = Callable[[str], None]
Logits = Callable[[steps.Variables, Any], Any]


class Learner(Protocol):
    """What has a first state, knows its shapes and where it lies, and takes it some steps on."""

    like: Any
    everywhere: Any

    def init(self) -> Any: ...

    def advance(self, state: Any, step: int, end: int) -> tuple[Any, int, dict[str, Any]]: ...


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
    every checkpoint, `prefix` before every line. Where `config.seeds` is above 1, variables are a
    tuple, and logits have a leading axis for the models.

    Raises:
        UserError: a batch that cannot be, diverged training, or nothing but damaged checkpoints.
        Stopped: Ctrl-C or SIGTERM came; the state is saved.
    """
    plan = build.plan_of(config, len(train))
    programs = build.programs(config, model, preprocess, plan, train, val, say)

    def validate(state: Any, step: int) -> list[metrics.Scores]:
        return _scores(programs.val_logits(seeds.scored(state)), val, step)

    state = learn(
        config, plan, programs, validate, log.line, folder=folder, meta=meta, say=say, prefix=prefix
    )
    return seeds.scored(state), programs.logits


def learn(
    config: ConfigDict,
    plan: Plan,
    programs: Learner,
    validate: Callable[[Any, int], list[metrics.Scores]],
    line: Callable[[log.Row, int], str],
    *,
    folder: pathlib.Path,
    meta: dict[str, Any],
    say: Say,
    prefix: str = '',
) -> Any:
    """The state that is to be scored, after all steps of `plan`; resumed, and raising, as `fit`.

    An epoch ends with the scores that `validate(state, step)` has for every seed, or none, with
    what `line(row, epochs)` makes of its row, and with a checkpoint. Short epochs go without one
    (`APART`), but for the last, and where the best is wanted.
    """
    checkpoints = Checkpoints(folder / workdir.CHECKPOINTS, config.checkpoint.best, say)
    with checkpoints, interrupt.StopRequest() as stop:
        state, meter, step = begin(checkpoints, programs, meta)
        if step:
            say(f'{prefix}resuming after step {step} of {plan.total}')

        always = config.weights == 'best' or runtime.is_job()  # whose clocks differ

        def save(scores: dict[str, float] | None = None) -> None:
            checkpoints.save(step, state, {**meta, 'meter': meter.state()}, scores)
            if stop.signum and step < plan.total:
                raise errors.Stopped(stop.signum, step, plan.total)

        every, calls = config.checkpoint.steps, itertools.count()
        with (
            log.Log(folder, step, enabled=runtime.is_main()) as writer,
            progress(plan, step) as bar,
        ):
            for epoch, end in plan.epochs_after(step):
                started, first = time.perf_counter(), step
                while step < end:
                    pause = plan.pause(step, end, every)
                    state, count, step_metrics = programs.advance(state, step, pause)
                    step += count
                    meter.add(step, count, step_metrics)
                    bar.update(count)
                    stop.poll(next(calls))
                    if step < end and (stop.signum or (every and step % every == 0)):
                        save()
                means = meter.means()
                speed = (step - first) * plan.batch_size / (time.perf_counter() - started)
                scores = validate(state, step)
                row = log.row(epoch, step, means, scores, speed)
                say(prefix + line(row, plan.epochs))
                writer.write(row)
                meter = log.Meter()
                if always or step == plan.total or stop.signum or checkpoints.age >= APART:
                    save({name: row[f'val_{name}'] for name in log.names(scores)} or None)
        if config.weights == 'best':
            state, _, step = checkpoints.restore_best(programs.like, programs.everywhere)
            say(f'{prefix}scoring step {step}, the best by val {config.checkpoint.best}')
        return state


def begin(
    checkpoints: Checkpoints, programs: Learner, meta: dict[str, Any]
) -> tuple[Any, log.Meter, int]:
    """(state, meter, steps done) of the latest checkpoint, or of a new run."""
    restored = checkpoints.restore_latest(programs.like, programs.everywhere)
    if restored is None:
        return programs.init(), log.Meter(), 0
    state, kept, step = restored
    for name, value in meta.items():
        if kept[name] != json.loads(json.dumps(value)):  # which has no tuples
            raise errors.UserError(
                f'the checkpoint was trained with {name} {kept[name]}, this run has {value}; '
                'give another --workdir.'
            )
    return state, log.Meter.of(kept['meter']), step


def _scores(logits: Any, val: Split, step: int) -> list[metrics.Scores]:
    """The scores of every seed's model."""
    if not np.isfinite(logits).all():
        raise log.not_finite(f'an output for the validation images after step {step}')
    each = logits.reshape(-1, *logits.shape[-2:])
    return [metrics.classification(one, val.labels) for one in each]


def progress(plan: Plan, step: int) -> Any:
    """A progress bar with the time left, on the terminal of the main process alone."""
    off = None if runtime.is_main() else True
    return tqdm(total=plan.total, initial=step, unit='step', disable=off, leave=False)
