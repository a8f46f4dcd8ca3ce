"""Calibration recovers what was done to the probabilities."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from pneumo_jax.evaluation import calibration, metrics


def calibrated(count: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn with exactly their probabilities."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(count, classes))
    odds = metrics.softmax(logits).cumsum(1)
    return logits, (rng.random((count, 1)) > odds).sum(1).clip(0, classes - 1)


@pytest.mark.parametrize('classes', [2, 5])
@pytest.mark.parametrize('factor', [0.4, 1, 3])
def test_a_known_temperature_is_recovered(factor: float, classes: int) -> None:
    logits, labels = calibrated(20_000, 0, classes)
    assert calibration.temperature(factor * logits, labels) == pytest.approx(factor, rel=0.03)


def test_a_split_without_errors_has_a_temperature() -> None:
    logits = np.array([[3.0, -3.0], [-3.0, 3.0]])
    assert calibration.temperature(logits, np.array([0, 1])) >= calibration.COOLEST


def test_isotonic_undoes_a_bent_curve() -> None:
    logits, labels = calibrated(20_000, 1)
    truth = metrics.softmax(logits)[:, 1]
    curve = calibration.isotonic(truth**3, labels == 1)
    assert np.abs(curve(truth**3) - truth).mean() < 0.02 < np.abs(truth**3 - truth).mean()
    assert (np.diff(curve(np.linspace(0, 1, 50))) >= 0).all()


def test_reliability_is_that_of_scikit_learn() -> None:
    logits, labels = calibrated(500, 2)
    p = metrics.softmax(logits)[:, 1]
    found = calibration.reliability(p, labels == 1)
    frequency, confidence = calibration_curve(labels, p, n_bins=calibration.BINS)
    filled = found.count > 0
    np.testing.assert_allclose(found.frequency[filled], frequency)
    np.testing.assert_allclose(found.confidence[filled], confidence)
    gaps = np.abs(found.frequency - found.confidence)[filled]
    expected = np.average(gaps, weights=found.count[filled])
    assert calibration.ece(p, labels == 1) == pytest.approx(expected)


def test_ece_by_hand() -> None:
    p, right = np.array([0.95, 0.95, 0.05, 0.05]), np.array([True, False, False, False])
    assert calibration.ece(p, right) == pytest.approx((0.45 + 0.05) / 2)
    for weights, expected in (([1.0, 1, 0, 0], 0.45), ([0, 0, 1, 1], 0.05), ([3, 1, 0, 0], 0.2)):
        assert calibration.ece(p, right, np.array(weights)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('power', 'truth', 'least'), [(1.0, 0.0, 0.88), (1.2, 0.032, 0.85), (2.5, 0.156, 0.8)]
)
def test_the_interval_of_the_ece_holds_the_truth(power: float, truth: float, least: float) -> None:
    """Where a model is calibrated too, which percentiles of the resamples never say."""
    rng, held, by_percentiles = np.random.default_rng(0), 0, 0
    for _ in range(100):
        p = rng.beta(0.6, 0.4, 300)
        right = rng.random(300) < p**power
        drawn = rng.multinomial(300, np.full(300, 1 / 300), 200).astype(float)
        low, high = calibration.ece_interval(p, right, drawn)
        assert 0 <= low <= calibration.ece(p, right) <= high
        held += low <= truth <= high
        each = [calibration.ece(p, right, weights) for weights in drawn[:20]]
        by_percentiles += min(each) <= truth
    assert held / 100 >= least
    assert by_percentiles < 20 or power == 2.5


def test_the_interval_of_the_ece_is_narrow_where_there_are_many_images() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(0.6, 0.4, 20_000)
    right = rng.random(20_000) < p**2.5
    drawn = rng.multinomial(20_000, np.full(20_000, 1 / 20_000), 100).astype(float)
    low, high = calibration.ece_interval(p, right, drawn)
    assert 0.14 < low < calibration.ece(p, right) < high < 0.17


def test_two_classes_are_judged_by_the_second_and_more_by_the_likeliest() -> None:
    labels = np.array([0, 1])
    p, right = calibration.judged(np.array([[0.7, 0.3], [0.9, 0.1]]), labels)
    assert p.tolist() == [0.3, 0.1] and right.tolist() == [False, True]
    p, right = calibration.judged(np.array([[0.7, 0.2, 0.1], [0.3, 0.1, 0.6]]), labels)
    assert p.tolist() == [0.7, 0.6] and right.tolist() == [True, False]


def test_the_interval_of_the_ece_without_a_usable_resample() -> None:
    p, right = np.array([0.9, 0.2]), np.array([True, True])
    value = calibration.ece(p, right)
    assert calibration.ece_interval(p, right, np.full((3, 2), np.nan)) == (value, value)


def test_prior_correction_is_bayes_on_a_mixture() -> None:
    """Two normal distributions: what is right where half are ill is corrected to a tenth."""
    from scipy.stats import norm

    x = np.linspace(-4, 5, 200)

    def bayes(ill: float) -> np.ndarray:
        parts = np.stack([(1 - ill) * norm.pdf(x, 0), ill * norm.pdf(x, 1)], 1)
        return parts / parts.sum(1, keepdims=True)

    found = calibration.prior_correct(bayes(0.7), np.array([0.3, 0.7]), np.array([0.9, 0.1]))
    np.testing.assert_allclose(found, bayes(0.1), atol=1e-12)
    rng = np.random.default_rng(0)
    ill = rng.random(40_000) < 0.1
    values = rng.normal(ill.astype(float), 1)
    p = 1 / (1 + np.exp(0.5 - values))  # Bayes at a prevalence of one half
    shares = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    corrected = calibration.prior_correct(np.stack([1 - p, p], 1), *shares)[:, 1]
    assert calibration.ece(p, ill) > 0.2 and calibration.ece(corrected, ill) < 0.01


@pytest.mark.parametrize('classes', [2, 3])
def test_the_prior_that_a_weighed_loss_has_put_in_is_found(classes: int) -> None:
    """Where every class counts alike, the share of each is the same, whatever it is in the data."""
    rng = np.random.default_rng(0)
    shares = np.array([0.9, 0.1] if classes == 2 else [0.7, 0.2, 0.1])
    labels = rng.choice(classes, 20_000, p=shares)
    values = rng.normal(1.5 * np.eye(classes)[labels], 1)
    balanced = metrics.softmax(1.5 * values)  # Bayes where the classes are alike
    found = calibration.prior(balanced, labels)
    np.testing.assert_allclose(found, np.full(classes, 1 / classes), atol=0.02)
    corrected = calibration.prior_correct(balanced, found, shares)
    np.testing.assert_allclose(corrected.mean(0), shares, atol=0.005)
    own = calibration.prior_correct(balanced, np.full(classes, 1 / classes), shares)
    np.testing.assert_allclose(calibration.prior(own, labels), shares, atol=0.02)
