"""What a run tells while it learns: the printed line, `metrics.jsonl`, TensorBoard."""

import functools
import json
import os
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pneumo_jax import errors, files

Row = dict[str, Any]
METRICS = 'metrics.jsonl'
AT_ONCE = 16  # calls whose metrics are fetched together; alone they take .1 ms of a quickstart's 5


class Meter:
    """Sums of the steps' metrics over an epoch, fetched late so that no step waits.

    The sums are float64, taken step by step, and go into mid-epoch checkpoints: an epoch resumed
    half-way reports the same means to the last bit.
    """

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.steps = 0
        self._pending: list[tuple[int, int, Any]] = []

    def add(self, step: int, count: int, metrics: Any) -> None:
        """Take the metrics of `count` steps, the last of them `step` (from 1).

        Each is an array of at least `count` values, or rows of a value for every seed, whose mean
        counts, and may still be under way.
        """
        if len(self._pending) == AT_ONCE:
            self.flush()
        self._pending.append((step, count, metrics))

    def flush(self) -> None:
        """Wait for the metrics still under way; a loss that is not finite is a `UserError`."""
        pending, self._pending = self._pending, []
        for step, count, metrics in pending:
            self._take(step, count, metrics)

    def _take(self, step: int, count: int, metrics: Any) -> None:
        values = {name: _rows(value)[:count].mean(1) for name, value in metrics.items()}
        finite = np.isfinite(list(values.values())).all(0)
        if not finite.all():
            first = step - count + 1 + int(finite.argmin())
            raise not_finite(f'the loss or its gradient of training step {first}')
        self.steps += count
        for name, row in values.items():
            self.sums[name] = functools.reduce(
                float.__add__, row.tolist(), self.sums.get(name, 0.0)
            )

    def means(self) -> dict[str, float]:
        """The mean of every metric over the steps since the start of the epoch."""
        self.flush()
        return {name: value / self.steps for name, value in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """The sums as JSON, for a checkpoint."""
        self.flush()
        return {'sums': dict(self.sums), 'steps': self.steps}

    @classmethod
    def of(cls, state: dict[str, Any]) -> 'Meter':
        """A meter that goes on from `state`."""
        meter = cls()
        meter.sums, meter.steps = dict(state['sums']), int(state['steps'])
        return meter


def _rows(value: Any) -> Float[np.ndarray, 'k s']:
    """A row a step, with one value or one for each seed."""
    array = np.atleast_1d(np.asarray(value, np.float64))
    return array.reshape(len(array), -1)


def not_finite(what: str) -> errors.UserError:
    """The error for training that has diverged, and what to try."""
    return errors.UserError(
        f'{what} is not finite; what was saved before it is kept. Try a lower --config.optim.lr, '
        '--config.optim.clip_norm=1 or --config.optim.warmup_epochs=1, with another --workdir.'
    )


class Log:
    """`metrics.jsonl` (a row an epoch) and TensorBoard events of a run folder.

    Rows after `step`, left by a run that was killed before their checkpoint was whole, are dropped.
    """

    def __init__(self, folder: pathlib.Path, step: int, *, enabled: bool = True) -> None:
        self._folder, self._step, self._enabled = folder, step, enabled
        self._path = folder / METRICS
        self._events: Any = None
        if enabled:
            folder.mkdir(parents=True, exist_ok=True)
            rows = [row for row in read(folder) if row['step'] <= step]
            files.write_text(self._path, ''.join(json.dumps(row) + '\n' for row in rows))

    def write(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns."""
        if not self._enabled:
            return
        with self._path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(row) + '\n')
            file.flush()
            os.fsync(file.fileno())
        self._write_events(row)

    def _write_events(self, row: Row) -> None:
        from tensorboardX import SummaryWriter

        if self._events is None:
            self._events = SummaryWriter(
                str(self._folder / 'tensorboard'), purge_step=self._step + 1
            )
        for name, value in row.items():
            if isinstance(value, float):
                self._events.add_scalar(name, np.float32(value), row['step'])
        self._events.flush()

    def __enter__(self) -> 'Log':
        return self

    def __exit__(self, *exception: object) -> None:
        if self._events is not None:
            self._events.close()


def read(folder: pathlib.Path) -> list[Row]:
    """The rows of a run's `metrics.jsonl`, without a last line that a kill cut short.

    Another damaged line is a `UserError`.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if line.endswith(b'\n'):
            try:
                row = json.loads(line)
                rows.append({**row, 'epoch': int(row['epoch']), 'step': int(row['step'])})
            except (ValueError, KeyError, TypeError) as error:
                raise errors.UserError(
                    f'{path}: line {number} is damaged ({error}): take it out.'
                ) from error
    return rows


def row(
    epoch: int,
    step: int,
    train: dict[str, float],
    val: Sequence[dict[str, float]],
    images_per_second: float,
) -> Row:
    """One epoch as it is logged: train means, every val metric, speed.

    `val` holds the metrics of every seed, if any; of several the row has means, and the values
    beside them.
    """
    values = {f'val_{name}': [one[name] for one in val] for name in names(val)}
    each = {f'{name}_of_seeds': many for name, many in values.items()} if len(val) > 1 else {}
    return {
        'epoch': epoch,
        'step': step,
        **{f'train_{name}': value for name, value in train.items()},
        **{name: statistics.fmean(many) for name, many in values.items()},
        **each,
        'images_per_second': images_per_second,
    }


def names(val: Sequence[dict[str, float]]) -> list[str]:
    """What there is of the metrics of every seed."""
    return [name for one in val[:1] for name in one if name != 'n']


def line(row: Row, epochs: int) -> str:
    """The line after an epoch, as the notebook prints it, with AUROC and speed beside it."""
    return (
        f'Epoch {row["epoch"]}/{epochs}, '
        f'Train Loss: {row["train_loss"]:.4f}, Train Acc: {row["train_accuracy"]:.4f}, '
        f'Val Loss: {row["val_loss"]:.4f}, Val Acc: {row["val_accuracy"]:.4f}, '
        f'Val AUROC: {row["val_auroc"]:.4f}, {row["images_per_second"]:.0f} images/s'
    )
