"""Intervals and tests against scikit-learn, scipy, brute force, and what they promise."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from pneumo_jax.errors import UserError
from pneumo_jax.evaluation import statistics

N = 60


def data(seed: int, rows: int = 1, n: int = N, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with ties, and labels of both classes."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(n) % 3 > 0).astype(np.int64)
    logits = generator.normal(size=(rows, n)) + shift * (labels - 0.5)
    return np.round(1 / (1 + np.exp(-logits)), 2), labels


def brute(metric: str, probability: np.ndarray, labels: np.ndarray) -> float:
    decided = (probability > 0.5).astype(int)
    if metric == 'auroc':
        return reference.roc_auc_score(labels, probability)
    if metric == 'accuracy':
        return reference.accuracy_score(labels, decided)
    return reference.recall_score(labels, decided, pos_label=int(metric == 'sensitivity'))


@pytest.mark.parametrize('metric', statistics.METRICS)
def test_scores_are_those_of_scikit_learn(metric: str) -> None:
    probabilities, labels = data(0, rows=3)
    expected = np.mean([brute(metric, row, labels) for row in probabilities])
    assert statistics.score(probabilities, labels, metric) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('metric', statistics.METRICS)
@pytest.mark.parametrize('grouped', [False, True])
def test_the_bootstrap_is_that_of_a_loop(metric: str, grouped: bool) -> None:
    (a, labels), b = data(1, rows=2), data(8, rows=2)[0]
    groups = np.arange(N) // 4 if grouped else None
    units = N // 4 if grouped else N
    drawn = np.random.default_rng(0).integers(units, size=(50, units))
    scores = []
    for picks in drawn:
        images = (4 * picks[:, None] + np.arange(4)).ravel() if grouped else picks
        of_rows = [[brute(metric, row[images], labels[images]) for row in side] for side in (a, b)]
        scores.append(np.mean(of_rows, 1))
    of_a, of_b = np.transpose(scores)
    got = statistics.paired_bootstrap(a, b, labels, metric, resamples=50, groups=groups)
    assert got[1:3] == pytest.approx(np.percentile(of_a - of_b, [2.5, 97.5]), abs=1e-12)
    if not grouped:
        alone = statistics.bootstrap(a, labels, metric, resamples=50)
        assert alone == pytest.approx(np.percentile(of_a, [2.5, 97.5]), abs=1e-12)


def test_a_resample_without_one_class_is_drawn_again() -> None:
    probabilities = np.linspace(0.1, 0.9, 8)[None]
    labels = (np.arange(8) == 7).astype(np.int64)  # a third of the resamples lack the positive one
    low, high = statistics.bootstrap(probabilities, labels, 'auroc', resamples=300)
    assert low == high == 1


@pytest.mark.parametrize('metric', ['auroc', 'accuracy'])
def test_intervals_cover(metric: str) -> None:
    n, trials = 150, 200
    sample = data(2, n=200_000)
    # n of the same population: scores of a large sample stand for the truth.
    truth = brute(metric, sample[0][0], sample[1])
    inside = 0
    for trial in range(trials):
        picks = np.random.default_rng(trial).integers(len(sample[1]), size=n)
        low, high = statistics.bootstrap(sample[0][:, picks], sample[1][picks], metric)
        inside += low <= truth <= high
    assert 0.90 <= inside / trials <= 0.99


def test_patients_make_intervals_wider() -> None:
    (a, labels), b = data(3), data(9)[0]
    repeated = (np.repeat(a, 6, 1), np.repeat(b, 6, 1), np.repeat(labels, 6), 'auroc')
    patients = np.repeat(np.arange(N), 6)
    alone = np.subtract(*statistics.paired_bootstrap(*repeated)[1:3])
    grouped = np.subtract(*statistics.paired_bootstrap(*repeated, groups=patients)[1:3])
    assert grouped / alone == pytest.approx(math.sqrt(6), rel=0.2)


def test_paired_bootstrap() -> None:
    better, labels = data(4, rows=3, n=400, shift=3.0)
    worse = data(4, rows=2, n=400, shift=1.0)[0]
    difference, low, high, p = statistics.paired_bootstrap(better, worse, labels, 'auroc')
    expected = statistics.score(better, labels, 'auroc') - statistics.score(worse, labels, 'auroc')
    assert difference == pytest.approx(expected, abs=1e-12)
    assert 0 < low < difference < high
    assert p == pytest.approx(2 / 2001)
    back = statistics.paired_bootstrap(worse, better, labels, 'auroc')
    assert back == pytest.approx((-difference, -high, -low, p))
    assert statistics.paired_bootstrap(worse, worse, labels, 'auroc') == (0, 0, 0, 1)


def test_paired_bootstrap_and_delong_agree() -> None:
    (a, labels), b = data(6, n=500, shift=1.2), data(7, n=500)[0]
    labels = data(6, n=500)[1]
    b = np.where(np.arange(500) % 2, a, b)  # correlated
    difference, error, p = statistics.delong(a[0], b[0], labels)
    gap, low, high, other = statistics.paired_bootstrap(a, b, labels, 'auroc', resamples=4000)
    assert difference == pytest.approx(gap, abs=1e-12)
    assert (high - low) / (2 * 1.96) == pytest.approx(error, rel=0.1)
    assert p == pytest.approx(other, abs=0.05)


def test_delong_is_that_of_its_definition() -> None:
    probabilities, labels = data(8, rows=2)
    ill, well = probabilities[:, labels == 1], probabilities[:, labels == 0]
    kernel = (ill[:, :, None] > well[:, None]) + 0.5 * (ill[:, :, None] == well[:, None])
    covariance = np.cov(kernel.mean(2)) / ill.shape[1] + np.cov(kernel.mean(1)) / well.shape[1]
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference, error, p = statistics.delong(*probabilities, labels)
    areas = [reference.roc_auc_score(labels, row) for row in probabilities]
    assert difference == pytest.approx(areas[0] - areas[1], abs=1e-12)
    assert error == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert p == pytest.approx(2 * stats.norm.sf(abs(difference) / error), rel=1e-9)


def test_delong_without_spread() -> None:
    labels = np.array([0, 0, 1, 1])
    perfect = np.array([0.1, 0.2, 0.8, 0.9])
    assert statistics.delong(perfect, perfect, labels) == (0, 0, 1)
    assert statistics.delong(perfect, 1 - perfect, labels) == (1, 0, 0)


def test_mcnemar_is_a_binomial_test_of_the_discordant() -> None:
    right_a = np.array([True] * 12 + [False] * 3 + [True] * 20 + [False] * 5)
    right_b = np.array([False] * 12 + [True] * 3 + [True] * 20 + [False] * 5)
    assert statistics.mcnemar(right_a, right_b) == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert statistics.mcnemar(right_a, right_a) == 1


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, which may not fall.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == [1, 1]
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ('call', 'told'),
    [
        (lambda p, y: statistics.bootstrap(p, y, 'auc'), "did you mean 'auroc'"),
        (lambda p, y: statistics.bootstrap(p, 0 * y, 'auroc'), r'both; found: \[0\]'),
        (lambda p, y: statistics.score(p, y + 1, 'accuracy'), r'found: \[1, 2\]'),
        (lambda p, y: statistics.delong(p[0], p[0], 0 * y), 'two images of either class'),
    ],
)
def test_what_cannot_be_scored_is_told(call: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        call(*data(9))


def test_a_share_has_an_exact_interval() -> None:
    value, low, high = statistics.share(0, 100)
    assert (value, low) == (0, 0) and high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert np.isnan(statistics.share(0, 0)).all()
