"""Convolution of NHWC maps, with torch's integer padding.

On a GPU every form is the library's own. XLA's CPU code is good for stride 1 on maps larger than
the kernel and collapses elsewhere; there the same sum is written as one product of matrices.
`forms.choose` picks when the program is lowered, so that it stays portable. The numbers
below are milliseconds for value and gradients on 2 cores, library / ours, both compiled as
`runtime.jit` does; experiments/speed has what else was tried.
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from pneumo_jax import forms
from pneumo_jax.models import library, products, squares, winograd

# Strided 3x3: 46 / 3.2 at 4 px (batch 128); about even from 7 to 28 px, and at 56 px, where patches
# cost memory, 12 / 19.
LARGEST_STRIDED = 16

Map = Float[Array, 'b h w c']
Kernel = Float[Array, 'k k i o']


def conv(x: Map, kernel: Kernel, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Map:
    """Cross-correlation with a square kernel over a map zero-padded by `padding` on every side.

    A map smaller than the kernel is zero-padded further, bottom and right, to give one output.
    """
    size = kernel.shape[0]
    grow = [(0, max(0, size - 2 * padding - length)) for length in x.shape[1:3]]
    x = jnp.pad(x, ((0, 0), *grow, (0, 0)))
    default = functools.partial(library.conv, stride=stride, padding=padding, groups=groups)
    form = _cpu_form(x, kernel, stride, padding, groups) or default

    def cpu(x: Map, kernel: Kernel) -> Map:
        # Without the barriers XLA works out what led to `x` anew, inside the transposing loops
        # that its gradients begin with (`cnn_bn_dropout` at 224 px: 250 ms, against 27).
        x = lax.optimization_barrier(x)
        if squares.suits(x, kernel, stride, padding):
            return squares.conv(x, kernel, stride, padding)
        return lax.optimization_barrier(form(x, kernel))

    return forms.choose(x, kernel, cpu=cpu, default=default)


def _cpu_form(
    x: Map, kernel: Kernel, stride: int, padding: int, groups: int
) -> Callable[[Map, Kernel], Map] | None:
    """What is faster on a CPU than the library, if anything is."""
    (size, _, _, features), (*_, height, width, channels) = kernel.shape, x.shape
    smallest = min(height, width)
    if groups > 1:
        depthwise = stride == 1 and groups == channels == features
        # 7x7: 473 / 75 at 56 px, 163 / 11 at 7 px, 56 / 1.6 at 1 px
        return functools.partial(products.depthwise, padding=padding) if depthwise else None
    if size == stride and not padding:  # 1x1: 16 / 12 at 56 px; 4x4: 5.0 / 2.1 at 224 px
        return products.tiles
    if (
        size == 1  # stride 2: 5.0 / 3.4 at 56 px
        or smallest < size  # 3x3: 204 / 5.9 at 2 px, 58 / 1.3 at 1 px; at 4 px 5.2 / 6.6
        or (stride > 1 and smallest <= LARGEST_STRIDED)
    ):
        return functools.partial(products.patches, stride=stride, padding=padding)
    if (size, stride, padding) == (3, 1, 1) and winograd.suits(x, kernel):
        return winograd.conv
    return None
