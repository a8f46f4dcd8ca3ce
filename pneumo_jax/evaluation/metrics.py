"""Scores of a classifier from its logits, in float64 numpy.

Class 1 of two is the positive (ill) one. With more classes every class is held against the rest
and the scores are averaged over classes, as MedMNIST does for AUROC (Yang et al. 2023,
doi:10.1038/s41597-022-01721-8).

A score that the labels leave undefined, such as the AUROC of a split with one class, is nan; an
average runs over the classes where the score is defined.
"""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float, Int

from pneumo_jax.errors import UserError

Scores = dict[str, float | int]


def classification(logits: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n']) -> Scores:
    """Accuracy, AUROC, sensitivity, specificity, balanced accuracy, loss (nats) and n.

    Log-probabilities serve as logits too. Balanced accuracy is the mean recall over classes.
    Raises UserError where the logits hold NaN or infinity.
    """
    probabilities = softmax(logits)
    matrix = confusion_matrix(logits, labels)
    judged = [1] if len(matrix) == 2 else list(range(len(matrix)))
    sensitivity, specificity = _one_against_rest(matrix)
    return {
        'accuracy': _mean(probabilities.argmax(1) == labels),
        'auroc': _mean(auroc(probabilities[:, i], labels == i) for i in judged),
        'sensitivity': _mean(sensitivity[i] for i in judged),
        'specificity': _mean(specificity[i] for i in judged),
        'balanced_accuracy': _mean(sensitivity),
        'loss': _mean(cross_entropy(logits, labels)),
        'n': len(labels),
    }


def softmax(logits: Float[np.ndarray, 'n k']) -> Float[np.ndarray, 'n k']:
    """Probabilities in float64. Raises UserError where the logits hold NaN or infinity."""
    odds = np.exp(_shifted(logits))
    return odds / odds.sum(1, keepdims=True)


def ensemble(logits: Float[np.ndarray, 's n k']) -> Float[np.ndarray, 'n k']:
    """The logarithm of the models' mean probabilities, which serves as logits; of one, its own."""
    if len(logits) == 1:
        return logits[0]
    return np.log(np.mean([softmax(one) for one in logits], 0) + np.finfo(float).tiny)


def cross_entropy(
    logits: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n']
) -> Float[np.ndarray, ' n']:
    """The loss of every image in nats, from log-probabilities: finite where P rounds to 0."""
    shifted = _shifted(logits)
    return np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]


def confusion_matrix(
    logits: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n']
) -> Int[np.ndarray, 'k k']:
    """Counts, rows the true class, columns the predicted (most probable) one."""
    classes = logits.shape[1]
    pairs = labels.astype(np.int64) * classes + softmax(logits).argmax(1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def auroc(scores: Float[np.ndarray, ' n'], positive: Bool[np.ndarray, ' n']) -> float:
    """Area under the ROC curve of scores for positive against the rest; nan with one side empty."""
    if positive.all() or not positive.any():
        return math.nan
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, scores))


def _shifted(logits: Float[np.ndarray, 'n k']) -> Float[np.ndarray, 'n k']:
    """Logits less the largest of their row, so that exp cannot overflow."""
    logits = np.asarray(logits, np.float64)
    broken = ~np.isfinite(logits).all(1)
    if broken.any():
        raise UserError(
            f'the logits of {broken.sum()} of {len(logits)} images are NaN or infinite: '
            'the training diverged. Train again with a lower learning rate.'
        )
    return logits - logits.max(1, keepdims=True)


def _one_against_rest(
    matrix: Int[np.ndarray, 'k k'],
) -> tuple[Float[np.ndarray, ' k'], Float[np.ndarray, ' k']]:
    """Sensitivity and specificity of every class against all others together."""
    hits, positives, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    negatives = matrix.sum() - positives
    with np.errstate(invalid='ignore'):
        return hits / positives, (negatives - (predicted - hits)) / negatives


def _mean(values: Iterable[float]) -> float:
    """The mean of what is defined; nan where nothing is."""
    array = np.array(list(values), np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else math.nan
