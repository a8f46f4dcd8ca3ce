"""The stated error rate is kept, class by class, where val and test are exchangeable."""

import numpy as np
import pytest

from pneumo_jax.evaluation import conformal

CALIBRATION, FRESH, SEEDS = 200, 2000, 60


def drawn(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Imbalanced, badly calibrated probabilities of three classes, one of them hard."""
    labels = rng.choice(3, count, p=[0.2, 0.5, 0.3])
    logits = (
        rng.normal(size=(count, 3)) + np.array([0.3, 2.0, 1.0])[labels, None] * np.eye(3)[labels]
    )
    odds = np.exp(3 * logits)
    return odds / odds.sum(1, keepdims=True), labels


@pytest.mark.parametrize('alpha', [0.05, 0.2])
def test_every_class_is_covered_as_stated(alpha: float) -> None:
    reached = np.empty((SEEDS, 3))
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        limits = conformal.limits(*drawn(CALIBRATION, rng), alpha)
        probabilities, labels = drawn(FRESH, rng)
        held = conformal.strict(probabilities, limits)
        reached[seed] = [held[labels == k, k].mean() for k in range(3)]
        assert (conformal.sets(probabilities, limits) >= held).all()
    # Coverage of a class of n has a Beta distribution of variance <= alpha (1 - alpha) / (n + 2),
    # to which the fresh images add theirs; its mean lies from 1 - alpha to 1 - alpha + 1 / (n + 1).
    n = CALIBRATION * np.array([0.2, 0.5, 0.3])
    error = np.sqrt(alpha * (1 - alpha) * (1.3 / n + 1 / (n * FRESH / CALIBRATION)) / SEEDS)
    assert (reached.mean(0) > 1 - alpha - 4 * error).all()
    assert (reached.mean(0) < 1 - alpha + 1.3 / n + 4 * error).all()


def test_limits_by_hand() -> None:
    own = np.arange(1, 20) / 20  # 19 images of class 1: alpha = .1 takes the 2nd least
    probabilities = np.stack([1 - own, own], 1)
    found = conformal.limits(probabilities, np.ones(19, int), 0.1)
    np.testing.assert_allclose(found, [0, 0.1], rtol=2e-5)
    again = (probabilities * (1 - 1e-6)).astype(np.float32)  # computed in another batch
    np.testing.assert_array_equal(conformal.strict(again, found)[:, 1], own > 0.06)
    assert conformal.limits(probabilities, np.ones(19, int), 0.04)[1] == 0  # too few to tell


def test_an_empty_set_becomes_all_classes() -> None:
    probabilities = np.array([[0.9, 0.1], [0.55, 0.45], [0.1, 0.9]])
    limits = np.array([0.8, 0.7])
    expected = [[True, False], [True, True], [False, True]]
    np.testing.assert_array_equal(conformal.sets(probabilities, limits), expected)
    assert not conformal.strict(probabilities, limits)[1].any()
