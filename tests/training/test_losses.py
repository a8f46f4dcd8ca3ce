from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.utils.class_weight import compute_class_weight

from pneumo_jax.errors import UserError
from pneumo_jax.training import losses

COUNTS = [2, 5, 13]
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 3), scale=3).astype(np.float32)
LABELS = np.array([0, 1, 2, 2, 0, 1])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
MIXED = RNG.dirichlet([1, 1, 1], size=6).astype(np.float32)
PRIOR = np.array(COUNTS) / sum(COUNTS)

VARIANTS: list[dict[str, Any]] = [
    {},
    {'smoothing': 0.1},
    {'name': 'focal'},
    {'name': 'focal', 'gamma': 0.5, 'smoothing': 0.2},
    {'class_weights': True},
    {'logit_adjustment': 1.0},
    {'name': 'focal', 'smoothing': 0.1, 'class_weights': True, 'logit_adjustment': 0.5},
]


def by_hand(
    logits: np.ndarray,
    targets: np.ndarray,
    name: str = 'cross_entropy',
    smoothing: float = 0.0,
    gamma: float = 2.0,
    class_weights: bool = False,
    logit_adjustment: float = 0.0,
) -> np.ndarray:
    """Example by example and class by class, in float64."""
    values = []
    for row, target in zip(logits.astype(np.float64), targets, strict=True):
        row = row + logit_adjustment * np.log(PRIOR)
        p = np.exp(row) / np.exp(row).sum()
        value = 0.0
        for k in range(3):
            share = (1 - smoothing) * target[k] + smoothing / 3
            modulation = (1 - p[k]) ** gamma if name == 'focal' else 1
            value -= share * modulation * np.log(p[k])
        weight = sum(target[k] * sum(COUNTS) / (3 * COUNTS[k]) for k in range(3))
        values.append(value * (weight if class_weights else 1))
    return np.array(values)


@pytest.mark.parametrize('targets', [ONE_HOT, MIXED], ids=['one-hot', 'mixed'])
@pytest.mark.parametrize('how', VARIANTS, ids=str)
def test_values_are_those_by_hand(how: dict[str, Any], targets: np.ndarray) -> None:
    values = losses.create(**how, counts=COUNTS)(LOGITS, targets)
    np.testing.assert_allclose(values, by_hand(LOGITS, targets, **how), rtol=2e-5)


def test_the_default_is_optaxs() -> None:
    ours, theirs = losses.create(counts=COUNTS), optax.softmax_cross_entropy_with_integer_labels
    np.testing.assert_allclose(ours(LOGITS, ONE_HOT), theirs(LOGITS, LABELS), rtol=1e-6)
    slope = jax.grad(lambda logits: ours(logits, ONE_HOT).sum())(LOGITS)
    wanted = jax.grad(lambda logits: theirs(logits, LABELS).sum())(LOGITS)
    np.testing.assert_allclose(slope, wanted, atol=1e-6)


def test_focal_without_gamma_is_cross_entropy() -> None:
    plain, focal = losses.create(counts=COUNTS), losses.create(name='focal', gamma=0, counts=COUNTS)
    np.testing.assert_allclose(focal(LOGITS, MIXED), plain(LOGITS, MIXED), rtol=1e-6)


def test_weights_are_scikit_learns_and_1_in_the_mean() -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    logits, targets = jnp.zeros((20, 3)), np.eye(3)[labels]
    weights = losses.create(class_weights=True, counts=COUNTS)(logits, targets) / np.log(3)
    wanted = compute_class_weight('balanced', classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights, wanted[labels], rtol=1e-6)
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)


@pytest.mark.parametrize('how', VARIANTS, ids=str)
@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_coarse_logits_are_computed_with_in_float32(how: dict[str, Any], dtype: Any) -> None:
    loss, coarse = losses.create(**how, counts=COUNTS), jnp.asarray(LOGITS, dtype)
    values = loss(coarse, jnp.asarray(ONE_HOT, dtype))
    assert values.dtype == jnp.float32
    np.testing.assert_array_equal(values, loss(coarse.astype(jnp.float32), ONE_HOT))


@pytest.mark.parametrize('how', VARIANTS, ids=str)
@pytest.mark.parametrize('size', [0.0, 20.0, 1e4, 1e30])
def test_values_and_gradients_are_finite(how: dict[str, Any], size: float) -> None:
    loss = losses.create(**how, counts=COUNTS)
    logits = jnp.array([[size, 0, 0], [-size, 0, size], [0, size, size]], jnp.float32)
    for targets in (np.eye(3), np.full((3, 3), 1 / 3)):
        value, slope = jax.value_and_grad(lambda x, t: loss(x, t).mean())(logits, targets)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize('how', [{'class_weights': True}, {'logit_adjustment': 1.0}])
def test_a_class_without_examples_is_refused_where_it_matters(how: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r'every class, .* has 3, 0;'):
        losses.create(**how, counts=[3, 0])
    assert np.isfinite(losses.create(counts=[3, 0])(LOGITS[:, :2], ONE_HOT[:, :2])).all()


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'focal'"):
        losses.create(name='focl', counts=COUNTS)
