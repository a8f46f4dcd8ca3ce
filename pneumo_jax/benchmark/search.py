"""The largest batch that fits into memory: doubled until it does not, then halved in between.

Every try is a process of its own, so that running out of memory ends only that. On a GPU the limit
is what jax takes of its memory (three quarters, or XLA_PYTHON_CLIENT_MEM_FRACTION); on a CPU a
process may allocate `memory_limit` bytes.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.pool import Job, WorkerError

MOST = 2**20
START = 64

Row = dict[str, Any]


def largest(fits: Callable[[int], bool]) -> int:
    """The largest batch that `fits`, to a sixteenth of it; 0 where not even one image does."""
    low, high = 0, START
    while high <= MOST and fits(high):
        low, high = high, 2 * high
    while high <= MOST and high - low > max(1, low // 16):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def search(
    case: Case, start: Callable[[Case, int], Job], memory_limit: int, tick: Callable[[str], None]
) -> Row:
    """The largest batch of `case`, with every try: its peak, or why it failed.

    A failure that is not one of memory ends the search, and is its `error`; what fitted until then
    is its batch.
    """
    tries: list[Row] = []

    def fits(batch: int) -> bool:
        tick(f'batch {batch}, {case.name}')
        tries.append({'batch': batch, **attempt(batch)})
        return tries[-1]['fits']

    def attempt(batch: int) -> Row:
        with start(dataclasses.replace(case, batch=batch), memory_limit) as job:
            try:
                job.ready()
                job.rate('step', 0.0)
                peak = job.peak_bytes()
            except WorkerError as error:
                if not error.out_of_memory:
                    raise
                return {'fits': False, 'why': str(error)}
        return {'fits': not 0 < memory_limit < peak, 'peak_bytes': peak}

    row = {'name': case.name, 'case': dataclasses.asdict(case), 'memory_limit': memory_limit}
    try:
        row['batch'] = largest(fits)
    except WorkerError as error:
        row['error'] = str(error)
        row['batch'] = max((one['batch'] for one in tries if one['fits']), default=0)
    return {**row, 'tries': tries}
