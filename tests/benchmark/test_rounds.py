import dataclasses
from typing import Any

import pytest

from pneumo_jax.benchmark import cases, rounds
from pneumo_jax.benchmark.pool import WorkerError


class FakeJob:
    """Rates count up from 1; it fails at what `fails` names, and dies of that if `mortal`."""

    def __init__(self, said: list[str], name: str, fails: str = '', mortal: bool = False) -> None:
        self.said, self.name, self.fails, self.mortal = said, name, fails, mortal
        self.usable, self.count = True, 0

    def _say(self, what: str) -> None:
        self.said.append(f'{self.name} {what}')
        if what == self.fails:
            self.usable = not self.mortal
            raise WorkerError('it cannot')

    def ready(self) -> dict[str, Any]:
        self._say('start')
        return {'compile_s': 1.0}

    def rate(self, what: str, seconds: float) -> float:
        self._say(what)
        self.count += 1
        return float(self.count)

    def peak_bytes(self) -> int:
        self._say('memory')
        return 7

    def __enter__(self) -> 'FakeJob':
        return self

    def __exit__(self, *exception: object) -> None:
        self.said.append(f'{self.name} end')


def measured(
    measures: list[str], repeats: int, *fails: dict[str, Any], together: bool = False
) -> tuple[Any, list[str]]:
    ours = cases.Case('ours', 'mlp', {'name': 'mlp', 'dtype': 'float32'}, 28, 8)
    group = [dataclasses.replace(ours, variant=name) for name in ('a', 'b')]
    said: list[str] = []
    options = iter(fails or ({}, {}))
    ticks: list[str] = []

    def start(case: cases.Case) -> Any:
        said.append(f'{case.variant} begin')
        return FakeJob(said, case.variant, **next(options))

    rows = rounds.measure(
        group,
        start,
        measures=measures,
        repeats=repeats,
        seconds=1.0,
        tick=ticks.append,
        together=together,
    )
    assert len(ticks) == rounds.units(group, measures, repeats)
    return rows, said


def test_all_are_ready_before_any_is_measured_and_then_take_turns() -> None:
    _, said = measured(['step', 'epoch'], 1)
    turn = ['a step', 'b step', 'a epoch', 'b epoch']
    ends = ['a memory', 'b memory', 'b end', 'a end']
    assert said == ['a begin', 'a start', 'b begin', 'b start', *turn, *turn, *ends]


def test_where_time_is_dear_all_compile_together() -> None:
    _, said = measured(['step'], 1, together=True)
    assert said[:4] == ['a begin', 'b begin', 'a start', 'b start']


def test_the_first_round_does_not_count() -> None:
    rows, _ = measured(['step'], 3)
    assert rows[0]['images_per_second']['step'] == {
        'median': 3.0,
        'low': 2.0,
        'high': 4.0,
        'all': [2.0, 3.0, 4.0],
    }
    assert rows[0]['peak_bytes'] == 7


def test_what_fails_is_noted_once_and_the_rest_goes_on() -> None:
    rows, said = measured(['step', 'epoch'], 2, {'fails': 'step'}, {})
    assert rows[0]['errors'] == {'step': 'it cannot'}
    assert said.count('a step') == 1
    assert rows[0]['images_per_second'].keys() == {'epoch'}
    assert rows[1]['images_per_second'].keys() == {'step', 'epoch'}


@pytest.mark.parametrize('fails', ['start', 'step'])
def test_one_that_is_gone_is_left_alone(fails: str) -> None:
    rows, said = measured(['step', 'epoch'], 1, {'fails': fails, 'mortal': True}, {})
    assert rows[0]['errors'] == {fails: 'it cannot'}
    assert rows[0]['peak_bytes'] is None
    assert 'a epoch' not in said
    assert not rows[1]['errors']


def test_of_several_seeds_only_the_step_is_measured() -> None:
    case = cases.Case('ours', 'mlp', {'dtype': 'float32'}, 28, 8, seeds=2)
    said: list[str] = []
    entrant = rounds.Entrant(case, FakeJob(said, 'a'))  # type: ignore[arg-type]
    for what in cases.MEASURES:
        entrant.measure(what, 1.0)
    assert said == ['a start', 'a step']


@pytest.mark.parametrize(
    ('rates', 'median'), [([3.0], 3.0), ([1.0, 9.0], 5.0), ([9.0, 1.0, 2.0], 2.0)]
)
def test_median_and_spread(rates: list[float], median: float) -> None:
    found = rounds.summary(rates)
    assert (found['median'], found['low'], found['high']) == (median, min(rates), max(rates))
    assert found['all'] == rates
