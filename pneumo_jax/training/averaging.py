"""How weights are averaged on the way: the share of the old average that each step keeps."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def kept(step: Int[Array, ''], *, ema: float = 0.0, swa_from: int = 0) -> Float[Array, '']:
    """The share of the old average in the one after step `step` (the first is 0).

    With `swa_from` = 0 an exponential moving average: `ema`, but at first (1 + step) / (10 + step),
    so that the first, random weights are forgotten early (TensorFlow's `ExponentialMovingAverage`
    with `num_updates`). Else the equal mean of the weights after every step from `swa_from` on,
    and before it the present ones (stochastic weight averaging, Izmailov et al. 2018,
    arXiv:1803.05407). The paper measures the BatchNorm statistics anew, with the mean weights; who
    averages them as the weights are does without that pass over the data.
    """
    if not swa_from:
        return jnp.minimum(ema, (1 + step) / (10 + step))
    averaged = jnp.maximum(0, step - swa_from)
    return averaged / (averaged + 1)
