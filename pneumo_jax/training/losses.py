"""What training minimises: one value per example, from its logits and its target probabilities."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pneumo_jax import errors

Scores = Float[Array, 'b k']
Loss = Callable[[Scores, Scores], Float[Array, ' b']]


def _focal(log_p: Scores, gamma: float) -> Scores:
    missing = -jnp.expm1(log_p)  # 1 - p, exact where p is near 1
    # Where it is 0, the gradient of a power below 1 is infinite.
    return jnp.maximum(missing, jnp.finfo(jnp.float32).eps) ** gamma * log_p


# What a class contributes by its log-probability, times its share in the target.
TERMS: dict[str, Callable[[Scores, float], Scores]] = {
    'cross_entropy': lambda log_p, _: log_p,
    'focal': _focal,
}


def create(
    *,
    name: str = 'cross_entropy',
    smoothing: float = 0.0,
    gamma: float = 2.0,
    class_weights: bool = False,
    logit_adjustment: float = 0.0,
    counts: Sequence[int],
) -> Loss:
    """`loss(logits [b, k], targets [b, k]) -> float32 [b]`; the targets of an example sum to 1.

    `counts` are the training examples of each class.

    name: 'cross_entropy', or 'focal' with its `gamma` (Lin et al. 2017, arXiv:1708.02002; here
        the sum over classes, each weighed by its target).
    smoothing: the share of the target that is spread evenly over all classes (Szegedy et al.
        2016, arXiv:1512.00567).
    class_weights: an example weighs as the inverse frequency of its class, mixed as its target is
        before smoothing; 1 in the mean over the training set (scikit-learn's 'balanced').
    logit_adjustment: in training, so many times the log prior is added to the logits (Menon et
        al. 2021, arXiv:2007.07314); prediction is from the plain ones.

    Raises:
        UserError: an unknown name, or a class without examples, which has no weight and no prior.
    """
    if name not in TERMS:
        raise errors.unknown('loss', name, TERMS)
    if class_weights or logit_adjustment:
        _check(counts)
    prior = np.asarray(counts, np.float32) / np.sum(counts)
    shift = logit_adjustment * np.log(prior) if logit_adjustment else None
    weights = 1 / (len(prior) * prior) if class_weights else None

    def loss(logits: Scores, targets: Scores) -> Float[Array, ' b']:
        logits, targets = logits.astype(jnp.float32), targets.astype(jnp.float32)
        log_p = jax.nn.log_softmax(logits if shift is None else logits + shift)
        aim = targets * (1 - smoothing) + smoothing / len(prior) if smoothing else targets
        values = -jnp.sum(aim * TERMS[name](log_p, gamma), -1)
        return values if weights is None else values * (targets @ weights)

    return loss


def _check(counts: Sequence[int]) -> None:
    if min(counts) == 0:
        raise errors.UserError(
            f'class_weights and logit_adjustment need examples of every class, and the training '
            f'split has {", ".join(map(str, counts))}; turn both off, or use more images.'
        )
