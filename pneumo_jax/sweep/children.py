"""Runs as child processes, as many at a time as there is room for."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from pneumo_jax import errors, host
from pneumo_jax.sweep.study import Run
from pneumo_jax.training import workdir

GIB_OF_A_RUN = 3
POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Ended:
    """A run that is over."""

    run: Run
    seconds: str  # '' for a run of several pieces
    failure: str  # why there are no results, '' where there are


@dataclasses.dataclass(frozen=True)
class _Child:
    run: Run
    slot: int
    process: subprocess.Popen[bytes]
    began: float | None  # None: it goes on with what another process began


def jobs(wanted: int | None) -> int:
    """How many at a time: as wanted, or one on a GPU and one a core without; never too many."""
    gpu = shutil.which('nvidia-smi') and os.environ.get('JAX_PLATFORMS') != 'cpu'
    return max(1, min(wanted or (1 if gpu else len(host.cores())), _room()))


def command(run: Run, runs: pathlib.Path) -> list[str]:
    """The process of a run, from the project's root."""
    module = ('-m', 'pneumo_jax.main')
    return [sys.executable, *module, *run.arguments, '--workdir', str(runs / run.name)]


class Pool:
    """Children that train `runs` in folders of `folder`; ends them when the block is left.

    They are in sessions of their own, so that Ctrl-C reaches this process alone, and each of them
    is told once: a second signal would keep it from saving.
    """

    def __init__(self, folder: pathlib.Path, jobs: int) -> None:
        self.folder, self.jobs = folder, jobs
        self._children: list[_Child] = []
        self._signum = 0

    def __enter__(self) -> 'Pool':
        self._handlers: dict[int, Any] = {
            signum: signal.signal(signum, self._note) for signum in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *exception: object) -> None:
        for child in self._children:
            child.process.terminate()
        for child in self._children:
            child.process.wait()
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)

    def run(self, runs: Sequence[Run]) -> Iterator[Ended]:
        """Each run when it is over. Raises errors.Stopped after a signal."""
        waiting, done = list(runs), 0
        while waiting or self._children:
            if self._signum:
                raise errors.Stopped(self._signum, done, len(runs), 'run')
            self._start(waiting)
            for child in [c for c in self._children if c.process.poll() is not None]:
                self._children.remove(child)
                done += 1
                yield self._ended(child)
            time.sleep(POLL_SECONDS)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._signum = signum

    def _start(self, waiting: list[Run]) -> None:
        """Fill the free slots; a run that a killed sweep left running is waited for."""
        free = set(range(self.jobs)) - {child.slot for child in self._children}
        for run in list(waiting):
            if free and not _in_use(self.folder / run.name):
                waiting.remove(run)
                self._children.append(self._child(run, free.pop()))

    def _child(self, run: Run, slot: int) -> _Child:
        environment = dict(os.environ)
        if self.jobs > 1:  # else each takes three quarters of a GPU's memory
            # CUDA and cuDNN need memory of their own beside it.
            environment.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', f'{0.8 / self.jobs:.2f}')
        log, began = self.folder / f'{run.name}.log', time.monotonic()
        resumes = (self.folder / run.name / workdir.RUN).exists()
        with log.open('ab') as out, _on_cores(slot, self.jobs):
            process = subprocess.Popen(
                command(run, self.folder),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return _Child(run, slot, process, None if resumes else began)

    def _ended(self, child: _Child) -> Ended:
        seconds = f'{time.monotonic() - child.began:.1f}' if child.began else ''
        code, log = child.process.returncode, self.folder / f'{child.run.name}.log'
        failure = f'{_last_line(log)} (exit code {code}; {log})' if code else ''
        if not failure and not (self.folder / child.run.name / workdir.RESULTS).exists():
            failure = f'no {workdir.RESULTS}, as where data are missing ({log})'
        return Ended(child.run, seconds, failure)


def _last_line(log: pathlib.Path) -> str:
    lines = log.read_text(encoding='utf-8', errors='replace').replace('\r', '\n').splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), 'it said nothing')


def _in_use(folder: pathlib.Path) -> bool:
    if not folder.exists():
        return False
    try:
        with workdir.locked(folder):
            return False
    except errors.UserError:
        return True


@contextlib.contextmanager
def _on_cores(slot: int, jobs: int) -> Iterator[None]:
    """A child that is started in the block has its share of the cores, where there is such."""
    if not hasattr(os, 'sched_setaffinity'):
        yield
        return
    cores = host.cores()
    share = len(cores) // jobs  # the same for all: how sums are split among cores changes last bits
    own = cores[slot * share : (slot + 1) * share] or [cores[slot % len(cores)]]
    os.sched_setaffinity(0, own)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _room() -> int:
    """How many runs the available memory holds, where the system tells."""
    free = host.available_bytes()
    return free // (GIB_OF_A_RUN * 2**30) if free else sys.maxsize
