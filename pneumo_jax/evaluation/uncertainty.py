"""How sure a classifier is, from its members' disagreement, and what that is worth."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


def entropy(probabilities: Float[np.ndarray, '*m n k']) -> Float[np.ndarray, '*m n']:
    """The entropy of every image's probabilities, in nats: 0 where one class has all."""
    from scipy.special import entr

    return entr(probabilities).sum(-1)


def mutual_information(members: Float[np.ndarray, 'm n k']) -> Float[np.ndarray, ' n']:
    """What the members' disagreement adds to the entropy, in nats: 0 where all say the same.

    The entropy of their mean less the mean of theirs (Houlsby et al. 2011, arXiv:1112.5745; of deep
    ensembles, Lakshminarayanan et al. 2017, arXiv:1612.01474).
    """
    return np.maximum(entropy(members.mean(0)) - entropy(members).mean(0), 0)


class Rejection(NamedTuple):
    """Accuracy where only the share `kept`, the surest, is judged; `area` under the error rate."""

    kept: Float[np.ndarray, ' n']
    accuracy: Float[np.ndarray, ' n']
    area: float


def rejection(doubt: Float[np.ndarray, ' n'], right: Bool[np.ndarray, ' n']) -> Rejection:
    """The accuracy-against-rejection curve, least doubt first.

    The area is that under the risk-coverage curve (Geifman & El-Yaniv 2017, arXiv:1705.08500): the
    mean error rate over all shares kept. Images of the same doubt are each as right as their mean.
    """
    levels, inverse, sizes = np.unique(doubt, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, right, minlength=len(levels)) / sizes
    expected = np.sort(inverse)
    ranks = np.arange(1, len(doubt) + 1)
    accuracy = np.cumsum(means[expected]) / ranks
    return Rejection(ranks / len(doubt), accuracy, float(1 - accuracy.mean()))
