"""What a difference between classifiers of two classes is worth, in float64 numpy.

Probabilities are those of class 1, the positive one, and the decision is for it above one half.
Several seeds of one recipe are the rows of an array; their score is the mean of each seed's score.
Intervals and tests hold the seeds fixed and ask what other images would have shown.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from pneumo_jax import errors

Interval = tuple[float, float]
# The scores of r resamples, whose rows say how often each image was drawn.
Scorer = Callable[[Float[np.ndarray, 'r n']], Float[np.ndarray, ' r']]

LEVEL = (2.5, 97.5)  # percentiles
RESAMPLES = 2000


def score(
    probabilities: Float[np.ndarray, 's n'], labels: Int[np.ndarray, ' n'], metric: str
) -> float:
    """The mean over s seeds of one of `METRICS`; UserError where a class has no image."""
    return float(_scorer(probabilities, labels, metric)(np.ones((1, len(labels))))[0])


def bootstrap(
    probabilities: Float[np.ndarray, 's n'],
    labels: Int[np.ndarray, ' n'],
    metric: str,
    *,
    resamples: int = RESAMPLES,
) -> Interval:
    """The percentile 95 % interval of `score`, by resampling images.

    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. Raises UserError for an
    unknown metric, and where a class has no image.
    """
    scores = _scorer(probabilities, labels, metric)(drawn(labels, resamples, 0, None))
    return _interval(scores)


def paired_bootstrap(
    a: Float[np.ndarray, 's n'],
    b: Float[np.ndarray, 't n'],
    labels: Int[np.ndarray, ' n'],
    metric: str,
    *,
    resamples: int = RESAMPLES,
    groups: Shaped[np.ndarray, ' n'] | None = None,
) -> tuple[float, float, float, float]:
    """`score` of a less that of b: the difference, its 95 % interval, and a two-sided p.

    Both are scored on the same resamples; with `groups` (the patient of every image) these are of
    patients, with all their images (Efron & Tibshirani 1993, chapter 8). p is twice the smaller
    share of resamples on one side of zero, counting the sample itself (Davison & Hinkley 1997, eq.
    4.11), so at least 2 / (r + 1). Raises UserError for an unknown metric, and where a class has no
    image.
    """
    weights = drawn(labels, resamples, 0, groups)
    scorers = [_scorer(each, labels, metric) for each in (a, b)]
    gaps = scorers[0](weights) - scorers[1](weights)
    rarer = min(int((gaps <= 0).sum()), int((gaps >= 0).sum()))
    p = min(1.0, 2 * (1 + rarer) / (resamples + 1))
    return score(a, labels, metric) - score(b, labels, metric), *_interval(gaps), p


def delong(
    scores_a: Float[np.ndarray, ' n'],
    scores_b: Float[np.ndarray, ' n'],
    labels: Int[np.ndarray, ' n'],
) -> tuple[float, float, float]:
    """The difference of two correlated AUROCs, its standard error, and a two-sided p.

    DeLong et al. 1988 (doi:10.2307/2531595), by mid-ranks as Sun & Xu 2014
    (doi:10.1109/LSP.2014.2337313). Raises UserError with fewer than two images of a class.
    """
    positive = labels == 1
    if min(positive.sum(), (~positive).sum()) < 2:
        raise errors.UserError('the DeLong test needs two images of either class at least.')
    sides = [_placements(scores, positive) for scores in (scores_a, scores_b)]
    of_positive, of_negative = (a - b for a, b in zip(*sides, strict=True))
    difference = float(of_positive.mean())
    variances = (gaps.var(ddof=1) / len(gaps) for gaps in (of_positive, of_negative))
    error = math.sqrt(sum(variances))
    if error == 0:
        return difference, error, float(difference == 0)
    return difference, error, math.erfc(abs(difference) / error / math.sqrt(2))


def mcnemar(right_a: Bool[np.ndarray, ' n'], right_b: Bool[np.ndarray, ' n']) -> float:
    """Two-sided p of the exact test for whether two classifiers err equally often.

    McNemar 1947 (doi:10.1007/BF02295996): of the images that one alone gets right, each has half.
    """
    from scipy import stats

    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def share(count: int, of: int) -> tuple[float, float, float]:
    """count / of and its exact 95 % interval (Clopper & Pearson 1934, doi:10.2307/2331986).

    Images count as independent. nan where there are none.
    """
    from scipy import stats

    if not of:
        return math.nan, math.nan, math.nan
    interval = stats.binomtest(count, of).proportion_ci()
    return count / of, float(interval.low), float(interval.high)


def holm(p: Sequence[float]) -> list[float]:
    """p of each of several tests, corrected for their number (Holm 1979, jstor.org/stable/4615733).

    In the order given: comparing them with 0.05 keeps the chance of any false alarm below 5 %.
    """
    order = np.argsort(p)
    raised = np.array(p, np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(raised))
    return adjusted.tolist()


def drawn(
    labels: Int[np.ndarray, ' n'],
    resamples: int,
    seed: int,
    groups: Shaped[np.ndarray, ' n'] | None,
) -> Float[np.ndarray, 'r n']:
    """How often each resample holds each image; a resample without one of the classes is redrawn.

    With `groups` whole groups are drawn. Raises UserError where there is nothing to redraw from.
    """
    _check_classes(labels)
    members = (
        np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    )
    units, generator = int(members.max()) + 1, np.random.default_rng(seed)
    weights = np.empty((resamples, len(labels)))
    missing = np.arange(resamples)
    while missing.size:
        drawn = generator.integers(units, size=(missing.size, units))
        drawn += units * np.arange(missing.size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=units * missing.size)
        weights[missing] = counts.reshape(-1, units)[:, members]
        ill = weights[missing][:, labels == 1].sum(1)
        missing = missing[(ill == 0) | (ill == weights[missing].sum(1))]
    return weights


def _interval(scores: Float[np.ndarray, ' r']) -> Interval:
    low, high = np.percentile(scores, LEVEL)
    return float(low), float(high)


def _placements(
    scores: Float[np.ndarray, ' n'], positive: Bool[np.ndarray, ' n']
) -> tuple[Float[np.ndarray, ' p'], Float[np.ndarray, ' q']]:
    """For every image the share of the other class that it stands on the right side of."""
    from scipy.stats import rankdata

    ill, well = scores[positive], scores[~positive]
    ranks = rankdata(np.concatenate([ill, well]))
    below = (ranks[: len(ill)] - rankdata(ill)) / len(well)
    above = 1 - (ranks[len(ill) :] - rankdata(well)) / len(ill)
    return below, above


def _check_classes(labels: Int[np.ndarray, ' n']) -> None:
    found = np.unique(labels).tolist()
    if found != [0, 1]:
        raise errors.UserError(f'the labels must be of the classes 0 and 1, both; found: {found}.')


def _scorer(
    probabilities: Float[np.ndarray, 's n'], labels: Int[np.ndarray, ' n'], metric: str
) -> Scorer:
    if metric not in METRICS:
        raise errors.unknown('metric', metric, METRICS)
    _check_classes(labels)
    return METRICS[metric](np.asarray(probabilities, np.float64), labels == 1)


def _auroc(probabilities: Float[np.ndarray, 's n'], positive: Bool[np.ndarray, ' n']) -> Scorer:
    """The share of pairs (positive, negative) in the right order; a tie is half of one.

    The mean over seeds is taken of the pairs, once, and a resample then costs one product. Halves
    are counted in whole numbers: equal rows of other numbers of seeds have equal scores to the bit.
    """
    halves = np.zeros((int(positive.sum()), int((~positive).sum())))
    for seed in probabilities:
        ill, well = seed[positive, None], seed[None, ~positive]
        halves += 2.0 * (ill > well) + (ill == well)

    def scores(weights: Float[np.ndarray, 'r n']) -> Float[np.ndarray, ' r']:
        ill, well = weights[:, positive], weights[:, ~positive]
        pairs = ill.sum(1) * well.sum(1)
        return ((ill @ halves) * well).sum(1) / (2 * len(probabilities) * pairs)

    return scores


def _share_right(of_positive: bool, of_negative: bool) -> Callable[..., Scorer]:
    """The share of the images of one class, or of both, that are decided rightly."""

    def scorer(probabilities: Float[np.ndarray, 's n'], positive: Bool[np.ndarray, ' n']) -> Scorer:
        judged = np.where(positive, of_positive, of_negative)
        right = ((probabilities > 0.5) == positive)[:, judged].mean(0)
        return lambda weights: (weights[:, judged] @ right) / weights[:, judged].sum(1)

    return scorer


METRICS: dict[str, Callable[..., Scorer]] = {
    'auroc': _auroc,
    'accuracy': _share_right(True, True),
    'sensitivity': _share_right(True, False),
    'specificity': _share_right(False, True),
}
