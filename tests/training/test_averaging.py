from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax.training import averaging


def averages(values: np.ndarray, **how: Any) -> list[float]:
    """The average after every step, from one that starts at 100."""
    average, found = 100.0, []
    shares = np.asarray(averaging.kept(jnp.arange(len(values)), **how), np.float64)
    for value, kept in zip(values, shares, strict=True):
        average = average * kept + value * (1 - kept)
        found.append(average)
    return found


@pytest.mark.parametrize('first', [1, 3, 9])
def test_swa_is_the_equal_mean_from_its_first_step_on(first: int) -> None:
    values = np.random.default_rng(0).normal(size=12)
    wanted = [
        value if step < first else values[first : step + 1].mean()
        for step, value in enumerate(values)
    ]
    np.testing.assert_allclose(averages(values, swa_from=first), wanted, rtol=1e-5)


def test_swa_keeps_nothing_up_to_its_first_step_and_then_n_of_n_plus_1() -> None:
    shares = averaging.kept(jnp.arange(6), swa_from=2)
    np.testing.assert_allclose(shares, [0, 0, 0, 1 / 2, 2 / 3, 3 / 4], rtol=1e-6)


def test_ema_grows_into_its_decay() -> None:
    shares = averaging.kept(jnp.array([0, 8, 79, 80, 81, 10**6]), ema=0.9)
    np.testing.assert_allclose(shares, [0.1, 0.5, 80 / 89, 0.9, 0.9, 0.9], rtol=1e-6)


def test_an_average_of_one_value_is_that_value() -> None:
    # The start is forgotten as the product of all shares, here below 1e-9.
    np.testing.assert_allclose(averages(np.full(200, 3.0), ema=0.9)[-1], 3.0, rtol=1e-6)
