"""Convolution and pooling on NHWC maps with torch's integer padding, in the fastest form for each.

On a GPU every form is the library's own. XLA's CPU code is as good on large maps, and collapses
elsewhere (Eigen's slow paths), where the same sum is written as patches times a matrix.
`lax.platform_dependent` picks when the program is lowered, so an exported one stays portable.
"""

import functools

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

Map = Float[Array, 'b h w c']


def conv(
    x: Map, kernel: Float[Array, 'k k i o'], *, stride: int = 1, padding: int = 0, groups: int = 1
) -> Map:
    """Cross-correlation with a square kernel, zero-padded by `padding` on every side.

    A map smaller than the kernel is zero-padded further (bottom, right) to give one output.
    """
    size = kernel.shape[0]
    x = _grow(x, size - 2 * padding, 0.0)
    library = functools.partial(_conv_library, stride=stride, padding=padding, groups=groups)
    cpu = _cpu_form(min(x.shape[1:3]), size, stride, padding, groups)
    if cpu is None:
        return library(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=cpu, default=library)
