"""Models side by side are the models by themselves."""

import threading
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import runtime
from pneumo_jax.training import seeds

OWN = (True, False, True)
STATES = {'w': jnp.array([1.0, 2.0])}, {'w': jnp.array([3.0, 4.0])}, {'w': jnp.array([5.0, 6.0])}
SHARED, ROWS = jnp.array([10.0, 20.0]), (jnp.array(0), jnp.array(1), jnp.array(1))
NEXT = [[11.0, 12.0], [23.0, 24.0], [25.0, 26.0]]


def step(state: Any, data: Any, row: Any) -> tuple[Any, Any]:
    new = {'w': state['w'] + data[row]}
    return new, {'sum': new['w'].sum()[None]}


def mesh(devices: int) -> jax.sharding.Mesh:
    whole = runtime.mesh()
    return jax.sharding.Mesh(whole.devices[:devices], whole.axis_names, axis_types=whole.axis_types)


@pytest.mark.parametrize('one_program', [True, False])
def test_together_as_alone(one_program: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, 'prefers_one_program', lambda: one_program)
    given = STATES, SHARED, ROWS
    together = seeds.compiled(step, OWN, given, jax.jit, mesh(1))
    states, metrics = together(*given)
    assert isinstance(states, tuple)
    np.testing.assert_array_equal([state['w'] for state in states], NEXT)
    np.testing.assert_array_equal(metrics['sum'], [[23.0, 47.0, 51.0]])


class Program:
    """A step that must be called by two threads at once, or else by the caller's alone."""

    def __init__(self, megabytes: int, *, at_once: bool) -> None:
        self.threads: set[int] = set()
        self._size, self._both = megabytes * 2**20, threading.Barrier(2) if at_once else None

    def memory_analysis(self) -> Any:
        return types.SimpleNamespace(temp_size_in_bytes=self._size)

    def __call__(self, *given: Any) -> tuple[Any, Any]:
        self.threads.add(threading.get_ident())
        if self._both:
            self._both.wait(timeout=30)
        return step(*given)


@pytest.mark.parametrize(
    ('megabytes', 'devices', 'at_once'), [(1, 1, True), (33, 1, False), (1, 4, False)]
)
def test_small_programs_of_one_device_run_at_once(
    megabytes: int, devices: int, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, 'cores', lambda: 2)
    program = Program(megabytes, at_once=at_once)
    together = seeds.in_turn(program, OWN, mesh(devices))
    states, _ = together(STATES[:2], SHARED, ROWS[:2])
    np.testing.assert_array_equal([state['w'] for state in states], NEXT[:2])
    assert (threading.get_ident() in program.threads) != at_once
    assert len(program.threads) == (2 if at_once else 1)


def test_what_a_step_raises_is_raised() -> None:
    program = Program(1, at_once=False)
    with pytest.raises(TypeError, match='missing'):
        seeds.in_turn(program, (True,), mesh(1))(STATES)


def test_scored_is_of_one_or_of_each() -> None:
    one, other = types.SimpleNamespace(scored='a'), types.SimpleNamespace(scored='b')
    assert seeds.scored(one) == 'a'
    assert seeds.scored((one, other)) == ('a', 'b')
