"""Every score of a classifier with a bootstrap interval.

Values are scikit-learn's where it has the score. For the intervals the same scores are computed for
all resamples at once, which are given as weights of the images, a row a resample (see
`statistics.drawn`): scikit-learn would need a second for every few hundred of them.

Class 1 of two is the positive one. With more classes scores are means over classes of each against
the rest, and there is no sensitivity, specificity, PPV or NPV.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pneumo_jax.evaluation import calibration, statistics

Weights = Float[np.ndarray, 'r n']


class Score(NamedTuple):
    """A value and its 95 % interval; nan where the labels leave it undefined."""

    value: float
    low: float
    high: float


Scores = dict[str, Score]


def of_decisions(
    decided: Int[np.ndarray, ' n'],
    labels: Int[np.ndarray, ' n'],
    classes: int,
    drawn: Weights,
    weights: Float[np.ndarray, ' n'] | None = None,
) -> Scores:
    """What the confusion matrix tells; `weights` say how much each image counts for the value.

    A rate of 0 or 1 is that in every resample: it has the exact interval (`statistics.share`) for
    as many images, or patients, as are drawn.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    cells = np.eye(classes**2)[labels * classes + decided]
    resampled = of_matrices((drawn @ cells).reshape(-1, classes, classes))
    values = _values(decided, labels, classes, weights)
    found = {name: _score(values[name], resampled[name]) for name in values}
    of = {'accuracy': labels >= 0, 'sensitivity': labels == 1, 'specificity': labels == 0}
    of |= {'ppv': decided == 1, 'npv': decided == 0}
    for name in found.keys() & of.keys():
        if found[name].value in (0, 1):
            units = len({column.tobytes() for column in drawn[:, of[name]].T})
            found[name] = Score(*statistics.share(int(found[name].value) * units, units))
    return found


def of_matrices(matrices: Float[np.ndarray, 'r k k']) -> dict[str, Float[np.ndarray, ' r']]:
    """The scores of confusion matrices with true classes in rows; a ratio of 0 and 0 is nan.

    MCC for k classes is Gorodkin's (2004, doi:10.1016/j.compbiolchem.2004.09.006), 0 where one
    class is all that occurs or all that is predicted.
    """
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    true, predicted, total = matrices.sum(2), matrices.sum(1), matrices.sum((1, 2))
    with np.errstate(invalid='ignore', divide='ignore'):
        recall, precision = hits / true, hits / predicted
        f1 = 2 * hits / (true + predicted)
        spread = [total**2 - (counts**2).sum(1) for counts in (true, predicted)]
        covariance = hits.sum(1) * total - (true * predicted).sum(1)
        mcc = covariance / np.sqrt(spread[0] * spread[1])
    binary = matrices.shape[1] == 2
    rates = {
        'sensitivity': recall[:, 1],
        'specificity': recall[:, 0],
        'ppv': precision[:, 1],
        'npv': precision[:, 0],
    }
    return {
        'accuracy': hits.sum(1) / total,
        'balanced_accuracy': np.nanmean(recall, 1),
        **(rates if binary else {}),
        'f1': f1[:, 1] if binary else np.nanmean(f1, 1),
        # Weights that are no whole numbers leave 1e-16 of the total where it should be nothing.
        'mcc': np.where(np.minimum(*spread) > 1e-12 * total**2, mcc, 0),
    }


def of_probabilities(
    probabilities: Float[np.ndarray, 'n k'],
    labels: Int[np.ndarray, ' n'],
    drawn: Weights,
    weights: Float[np.ndarray, ' n'] | None = None,
    raw: Float[np.ndarray, 'n k'] | None = None,
) -> Scores:
    """AUROC, average precision, Brier score and ECE (`calibration.judged` says of what).

    `raw` are probabilities before calibration, where they differ: AUROC and average precision are
    theirs. A temperature leaves the order of two classes, and not that of more. The Brier score of
    more than two classes is the sum over classes, half of which it is for two.
    """
    from sklearn import metrics

    classes = probabilities.shape[1]
    judged = [1] if classes == 2 else [i for i in range(classes) if (labels == i).any()]
    weights = np.ones(len(labels)) if weights is None else weights
    ranks = probabilities if raw is None else raw
    curves = [areas(ranks[:, i], labels == i, drawn) for i in judged]
    auroc, precision = (
        np.mean([score(labels == i, ranks[:, i], sample_weight=weights) for i in judged])
        for score in (metrics.roc_auc_score, metrics.average_precision_score)
    )
    squares = ((probabilities - np.eye(classes)[labels]) ** 2).sum(1) / (2 if classes == 2 else 1)
    brier = np.average(squares, weights=weights)
    if classes == 2:
        brier = metrics.brier_score_loss(labels, probabilities[:, 1], sample_weight=weights)
    pair = calibration.judged(probabilities, labels)
    within = calibration.ece_interval(*pair, drawn, weights)
    return {
        'auroc': _score(auroc, np.mean([curve[0] for curve in curves], 0)),
        'average_precision': _score(precision, np.mean([curve[1] for curve in curves], 0)),
        'brier': _score(brier, drawn @ squares / drawn.sum(1)),
        'ece': Score(calibration.ece(*pair, weights), *within),
    }


def areas(
    scores: Float[np.ndarray, ' n'], positive: Bool[np.ndarray, ' n'], drawn: Weights
) -> tuple[Float[np.ndarray, ' r'], Float[np.ndarray, ' r']]:
    """AUROC and average precision of every resample."""
    hits, alarms = counts(scores, positive, drawn)
    gained = np.diff(hits, prepend=0)
    auroc = (np.diff(alarms, prepend=0) * (hits - gained / 2)).sum(1)
    with np.errstate(invalid='ignore'):
        precision = np.where(gained > 0, gained * hits / (hits + alarms), 0).sum(1)
        return auroc / (hits[:, -1] * alarms[:, -1]), precision / hits[:, -1]


def counts(
    scores: Float[np.ndarray, ' n'], positive: Bool[np.ndarray, ' n'], drawn: Weights
) -> tuple[Float[np.ndarray, 'r t'], Float[np.ndarray, 'r t']]:
    """How many positive and negative images lie at or above each distinct score, from the top."""
    order = np.argsort(-scores, kind='stable')
    last = np.append(np.diff(scores[order]) != 0, True)
    seen, ill = drawn[:, order], positive[order]
    return np.cumsum(seen * ill, 1)[:, last], np.cumsum(seen * ~ill, 1)[:, last]


def at_prevalence(drawn: Weights, labels: Int[np.ndarray, ' n'], prevalence: float) -> Weights:
    """The weights by which in every resample the share `prevalence` is of class 1."""
    ill = (drawn[:, labels == 1].sum(1) / drawn.sum(1))[:, None]
    return drawn * np.where(labels == 1, prevalence / ill, (1 - prevalence) / (1 - ill))


def to_json(scores: Mapping[str, Score]) -> dict[str, dict[str, float | None]]:
    """Nested dictionaries, with None for nan."""
    return {
        name: {key: None if math.isnan(x) else x for key, x in score._asdict().items()}
        for name, score in scores.items()
    }


def _values(
    decided: Int[np.ndarray, ' n'],
    labels: Int[np.ndarray, ' n'],
    classes: int,
    weights: Float[np.ndarray, ' n'],
) -> dict[str, float]:
    from sklearn import metrics

    def partial(score: Callable[..., Any], label: int) -> Callable[..., float]:
        return functools.partial(score, pos_label=label, zero_division=np.nan)

    table: dict[str, Callable[..., float]] = {
        'accuracy': metrics.accuracy_score,
        'balanced_accuracy': functools.partial(
            metrics.recall_score,
            average='macro',
            labels=np.arange(classes),
            zero_division=np.nan,
        ),
        'sensitivity': partial(metrics.recall_score, 1),
        'specificity': partial(metrics.recall_score, 0),
        'ppv': partial(metrics.precision_score, 1),
        'npv': partial(metrics.precision_score, 0),
        'f1': partial(metrics.f1_score, 1),
        'mcc': _mcc,
    }
    if classes > 2:
        average = functools.partial(metrics.f1_score, average='macro', labels=np.arange(classes))
        table = {name: table[name] for name in ('accuracy', 'balanced_accuracy', 'mcc')}
        table['f1'] = functools.partial(average, zero_division=np.nan)
    return {name: float(f(labels, decided, sample_weight=weights)) for name, f in table.items()}


def _mcc(
    labels: Int[np.ndarray, ' n'], decided: Int[np.ndarray, ' n'], sample_weight: Any
) -> float:
    """scikit-learn's, and 0 where it may round to the root of a negative number (one class)."""
    from sklearn import metrics

    if len(np.unique(labels)) == 1 or len(np.unique(decided)) == 1:
        return 0.0
    return float(metrics.matthews_corrcoef(labels, decided, sample_weight=sample_weight))


def _score(value: float, resampled: Float[np.ndarray, ' r']) -> Score:
    known = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not known.size:
        return Score(value, math.nan, math.nan)
    low, high = np.percentile(known, statistics.LEVEL)
    return Score(float(value), float(low), float(high))
