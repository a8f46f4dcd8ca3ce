"""A group measured: all its workers ready, then each asked in turn, round after round.

What else goes on in the machine so meets all of them alike. The first round is discarded.
"""

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from pneumo_jax.benchmark.cases import Case, Group
from pneumo_jax.benchmark.pool import Job, WorkerError

Row = dict[str, Any]


class Entrant:
    """One case: its job, until that fails, and what it has measured."""

    def __init__(self, case: Case, job: Job) -> None:
        self.case, self.job, self.lost = case, job, False
        self.rates: dict[str, list[float]] = {}
        self.errors: dict[str, str] = {}
        self.ready = self.attempt('start', job.ready) or {}
        self.lost = not self.ready

    def attempt(self, what: str, call: Callable[[], Any]) -> Any:
        """What `call` gives; None where it fails, which is noted, or `what` has failed before."""
        if self.lost or what in self.errors:
            return None
        try:
            return call()
        except WorkerError as error:
            self.errors[what] = str(error)
            self.lost = not self.job.usable
            return None

    def measure(self, what: str, seconds: float) -> None:
        """One more rate of `what`; of several seeds, only the train step is one."""
        if self.case.seeds > 1 and what != 'step':
            return
        rate = self.attempt(what, lambda: self.job.rate(what, seconds))
        if rate is not None:
            self.rates.setdefault(what, []).append(rate)

    def row(self) -> Row:
        """Everything that is known now, less the first rate of each kind."""
        return {
            'group': self.case.group,
            'name': self.case.name,
            'case': dataclasses.asdict(self.case),
            'worker': self.ready,
            'images_per_second': {
                what: summary(rates[1:]) for what, rates in self.rates.items() if rates[1:]
            },
            'peak_bytes': self.attempt('memory', self.job.peak_bytes),
            'errors': self.errors,
        }


def measure(
    group: Group,
    start: Callable[[Case], Job],
    *,
    measures: Sequence[str],
    repeats: int,
    seconds: float,
    tick: Callable[[str], None],
    together: bool = False,
) -> list[Row]:
    """The row of every case. `tick` is told what comes next, `units` times.

    They compile one after another, or compiling would be timed beside compiling; all at once where
    they are to compile `together`.
    """
    with contextlib.ExitStack() as stack:
        entrants = []
        jobs = (stack.enter_context(start(case)) for case in group)
        for case, job in zip(group, list(jobs) if together else jobs, strict=True):
            tick(f'compiling {case.name}')
            entrants.append(Entrant(case, job))
        for turn in range(repeats + 1):
            for what in measures:
                for entrant in entrants:
                    tick(f'{what} {turn}/{repeats}, {entrant.case.name}')
                    entrant.measure(what, seconds)
        return [entrant.row() for entrant in entrants]


def units(group: Group, measures: Sequence[str], repeats: int) -> int:
    """How often `measure` ticks."""
    return len(group) * (1 + (repeats + 1) * len(measures))


def summary(rates: Sequence[float]) -> Row:
    """Median, lowest and highest, and all in their order."""
    return {
        'median': statistics.median(rates),
        'low': min(rates),
        'high': max(rates),
        'all': list(rates),
    }
