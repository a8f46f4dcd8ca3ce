"""Integrated gradients."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.explain import programs
from pneumo_jax.trained import Member

STEPS = 64


def integrated_gradients(
    member: Member, images: UInt8[np.ndarray, 'n h w c'], targets: Int[np.ndarray, ' n']
) -> Float[np.ndarray, 'n h w']:
    """Each pixel's share of the target's log-odds, against a black image.

    Sundararajan et al. 2017 (arXiv:1703.01365): the gradient along the straight line from black,
    at the midpoints of `STEPS` parts. The shares of all pixels together are the difference of
    the two log-odds, up to the error of that sum; black pixels get nothing.
    """
    unit = member.preprocess.unit(images)
    program = programs.compiled(_program, member.model, member.preprocess)

    def along(index: Int[np.ndarray, ' b'], step: Int[np.ndarray, ' b']) -> np.ndarray:
        part = ((step + 0.5) / STEPS).astype(np.float32)
        return program(member.variables, unit[index], part, targets[index])

    shares = [
        programs.in_batches(member, along, np.full(STEPS, i), np.arange(STEPS)).mean(0)
        for i in range(len(images))
    ]
    return np.stack(shares)


def _program(model: nn.Module, preprocess: Preprocess) -> Callable[..., Any]:
    def along(variables: Any, images: Any, part: Any, targets: Any) -> Any:
        """Gradients at `part` of the images, times the images: [b, h, w]."""

        def total(faded: Any) -> Any:
            return programs.score(model, preprocess, variables, faded, targets).sum()

        gradient = jax.grad(total)(part[:, None, None, None] * images)
        return (gradient * images).sum(-1)

    return along
