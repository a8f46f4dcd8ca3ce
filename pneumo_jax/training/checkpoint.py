"""What is kept of a run, with Orbax: the latest two checkpoints, and the best one on val.

A checkpoint is a directory `checkpoints/STEP` that appears whole or not at all. It holds the train
state, and as JSON what it takes to use it: the preprocessing, the class names, the sums of an
unfinished epoch, and a SHA-256 of every weight, so that a damaged one is noticed, never trained on.
"""

import contextlib
import errno
import functools
import hashlib
import importlib
import json
import logging
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from pneumo_jax import errors, runtime

Meta = dict[str, Any]
LIBRARY = 'orbax.checkpoint'
# What TensorStore says of a disk that is full, and of a file that would be larger than is allowed.
FULL = {'RESOURCE_EXHAUSTED': errno.ENOSPC, 'OUT_OF_RANGE: Error writing': errno.EFBIG}


@functools.cache
def _orbax() -> Any:
    """The library, which takes .3 s to import: a new run needs it after its first steps."""
    ocp = importlib.import_module(LIBRARY)
    # What goes wrong is said here, in a line; Orbax logs it again, in pages.
    logging.getLogger('absl').setLevel(logging.CRITICAL)
    sys.unraisablehook = functools.partial(_tell_unraisable, sys.unraisablehook)
    # Arrays of the host take Orbax half the time of device arrays, 1 ms each, and the first process
    # writes what all hold. `save` has made them, so that no step changes them: no copy is needed.
    on_host = ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)
    ocp.type_handlers.register_type_handler(np.ndarray, on_host, override=True)
    return ocp


def _tell_unraisable(tell: Callable[[Any], object], what: Any) -> None:
    """After a failed write TensorStore calls back into a loop that Orbax has closed by then."""
    if str(what.exc_value) != 'Event loop is closed':
        tell(what)


class Checkpoints:
    """The checkpoints of one run folder. `best` names the val metric that ranks them.

    A damaged checkpoint is moved aside, into `damaged/` of the run folder, and said.
    """

    def __init__(self, folder: pathlib.Path, best: str, say: Callable[[str], None]) -> None:
        self._folder = folder.absolute()
        self._aside = self._folder.parent / 'damaged'
        self._best, self._sign = best, -1 if best == 'loss' else 1
        self._say, self._saved = say, time.monotonic()
        for metrics in self._folder.glob('[0-9]*/metrics/metrics'):  # read by every opening
            step = metrics.parent.parent.name
            if not step.isdigit():  # what a kill left of a save
                continue
            try:
                self._score(json.loads(metrics.read_bytes()))
            except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
                self._set_aside(int(step), error)

    @functools.cached_property
    def _manager(self) -> Any:
        from orbax.checkpoint.checkpoint_managers import preservation_policy as policy

        ocp = _orbax()
        keep_best = policy.BestN(
            get_metric_fn=self._score, n=1, keep_checkpoints_without_metrics=False
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy.AnyPreservationPolicy([policy.LatestN(2), keep_best]),
            best_fn=self._score,
            keep_checkpoints_without_metrics=False,
            cleanup_tmp_directories=True,
        )
        return ocp.CheckpointManager(self._folder, options=options)

    def _score(self, metrics: dict[str, float]) -> float:
        return self._sign * metrics[self._best]

    def save(
        self, step: int, state: Any, meta: Meta, metrics: dict[str, float] | None = None
    ) -> None:
        """Save in the background; without val `metrics` it can be the latest, never the best."""
        ocp, held = _orbax(), jax.tree.map(np.array, runtime.on_host(state))
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(held),
            meta=ocp.args.JsonSave({**meta, 'sha256': digest(held)}),
        )
        self._saved = time.monotonic()
        with _no_room():
            self._manager.save(step, args=args, metrics=metrics, force=True)

    @property
    def age(self) -> float:
        """Seconds since the last save, or since there is this object."""
        return time.monotonic() - self._saved

    def restore_latest(
        self, like: Any, sharding: jax.sharding.Sharding
    ) -> tuple[Any, Meta, int] | None:
        """(state, meta, step) of the latest whole checkpoint, or None where there is none.

        `like` is a tree of shapes, as `jax.eval_shape` gives it, and `sharding` where its leaves
        go, on however many devices they were saved.

        Raises:
            UserError: there were checkpoints, and all are damaged.
        """
        while (
            any(self._folder.glob('[0-9]*')) and (step := self._manager.latest_step()) is not None
        ):
            try:
                return self._restore(step, like, sharding)
            except Exception as error:  # Orbax raises whatever the broken file provokes
                self._close()
                self._set_aside(step, error)
        if any(self._aside.glob('*')):
            raise errors.UserError(
                f'every checkpoint in {self._folder} was damaged; '
                'remove the run folder to train it anew.'
            )
        return None

    def restore_best(self, like: Any, sharding: jax.sharding.Sharding) -> tuple[Any, Meta, int]:
        """As `restore_latest`, for the checkpoint with the best val metric."""
        self._manager.wait_until_finished()
        step = self._manager.best_step()
        try:
            return self._restore(step, like, sharding)
        except Exception as error:
            raise errors.UserError(
                f'the best checkpoint, of step {step}, is damaged; '
                'score the last one with --config.weights=last and another --workdir.'
            ) from error

    def _restore(
        self, step: int, like: Any, sharding: jax.sharding.Sharding
    ) -> tuple[Any, Meta, int]:
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like
        )
        args = _orbax().args
        wanted = {'state': args.StandardRestore(target), 'meta': args.JsonRestore()}
        restored = self._manager.restore(step, args=args.Composite(**wanted))
        if digest(runtime.on_host(restored.state)) != restored.meta['sha256']:
            raise ValueError('its weights are not those that were saved')
        return restored.state, restored.meta, step

    def _set_aside(self, step: int, error: Exception) -> None:
        self._aside.mkdir(exist_ok=True)
        aside = self._aside / f'{step}-{len(list(self._aside.iterdir()))}'
        with contextlib.suppress(FileNotFoundError):  # another process of the job was first
            (self._folder / str(step)).rename(aside)
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        self._say(
            f'the checkpoint of step {step} is damaged ({reason}) and now in {aside}; '
            'going back to the one before it'
        )

    def __enter__(self) -> 'Checkpoints':
        return self

    def __exit__(self, *exception: object) -> None:
        """Wait until all that was saved is on the disk."""
        with _no_room():
            self._close()

    def _close(self) -> None:
        if manager := self.__dict__.pop('_manager', None):  # else nothing was asked of it
            manager.wait_until_finished()
            manager.close()


@contextlib.contextmanager
def _no_room() -> Iterator[None]:
    """A full disk as Python says it, where TensorStore has an error of its own."""
    try:
        yield
    except ValueError as error:
        known = (code for text, code in FULL.items() if text in str(error))
        if not (code := next(known, 0)):
            raise
        raise OSError(code, os.strerror(code), 'checkpoints') from error


def digest(held: Any) -> str:
    """SHA-256 over the bytes of every array, in the order of the tree."""
    sha = hashlib.sha256()
    for array in jax.tree.leaves(held):
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
