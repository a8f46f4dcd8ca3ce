"""Sets of classes that hold the true one with a stated error rate, class by class.

Split conformal prediction, calibrated on val. Class-conditional (Mondrian): the error rate holds
among the ill and among the well, not only over both. Vovk 2012, Conditional validity of inductive
conformal predictors (arXiv:1209.2673); Angelopoulos & Bates 2021 (arXiv:2107.07511).

The promise holds where val and the images to come are exchangeable. On a shifted set it does not.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

MARGIN = 1e-5  # P of the same pixels differs by 1e-6 of itself between batch sizes


def limits(
    probabilities: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n'], alpha: float
) -> Float[np.ndarray, ' k']:
    """The least P(class) with which a class belongs to a set, from val.

    Of the n images of a class the floor(alpha (n + 1))-th least probable one sets it; where they
    are too few for `alpha` it is 0, and the class belongs to every set. A limit is `MARGIN` less
    than that image's own P, so that rounding elsewhere does not move it, or its like, out.
    """
    found = np.zeros(probabilities.shape[1])
    for label in range(len(found)):
        own = np.sort(probabilities[labels == label, label])
        rank = int(alpha * (len(own) + 1) + 1e-9)
        if rank:
            found[label] = own[rank - 1] * (1 - MARGIN)
    return found


def sets(
    probabilities: Float[np.ndarray, 'n k'], limits: Float[np.ndarray, ' k']
) -> Bool[np.ndarray, 'n k']:
    """Which classes belong to each image's set.

    A set that would be empty becomes the set of all classes: an image that is unlike every class is
    one to ask a radiologist about, and a larger set errs less often, never more.
    """
    held = strict(probabilities, limits)
    return held | ~held.any(1, keepdims=True)


def strict(
    probabilities: Float[np.ndarray, 'n k'], limits: Float[np.ndarray, ' k']
) -> Bool[np.ndarray, 'n k']:
    """The same with empty sets left empty."""
    return probabilities >= limits
