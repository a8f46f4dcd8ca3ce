import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from pneumo_jax.benchmark import cases, search
from pneumo_jax.benchmark.pool import WorkerError

CASE = cases.Case('ours', 'mlp', {'name': 'mlp', 'dtype': 'float32'}, 28, 0)


@pytest.mark.parametrize('limit', [1, 3, 63, 64, 65, 100, 1000, 12345, 500_000])
def test_it_fits_and_a_sixteenth_more_does_not(limit: int) -> None:
    tried = []
    found = search.largest(lambda batch: tried.append(batch) or batch <= limit)  # type: ignore[func-returns-value]
    assert found <= limit < found + max(1, found // 16)
    assert len(tried) < 20


def test_nothing_fits_and_everything_fits() -> None:
    assert search.largest(lambda batch: False) == 0
    assert search.largest(lambda batch: True) == search.MOST


class FakeJob:
    def __init__(self, batch: int) -> None:
        self.batch = batch

    def ready(self) -> None:
        if self.batch > 200:
            raise WorkerError('too much', out_of_memory=True)

    def rate(self, what: str, seconds: float) -> float:
        if self.batch == 160:
            raise WorkerError('something else')
        return 1.0

    def peak_bytes(self) -> int:
        return 10 * self.batch


def searched(memory_limit: int) -> dict[str, Any]:
    @contextlib.contextmanager
    def start(case: cases.Case, limit: int) -> Iterator[FakeJob]:
        assert limit == memory_limit
        yield FakeJob(case.batch)

    return search.search(CASE, start, memory_limit, lambda text: None)  # type: ignore[arg-type]


def test_a_worker_out_of_memory_bounds_the_batch() -> None:
    row = searched(0)
    assert row['batch'] == 200
    assert {'batch': 256, 'fits': False, 'why': 'too much'} in row['tries']
    assert {'batch': 128, 'fits': True, 'peak_bytes': 1280} in row['tries']


def test_a_peak_above_the_limit_does_not_fit() -> None:
    assert searched(1000)['batch'] == 100


def test_another_failure_ends_the_search() -> None:
    row = searched(1310)  # between 128 and 256 it comes by 192, then 160
    assert row['error'] == 'something else'
    assert row['batch'] == 128
