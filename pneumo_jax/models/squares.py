"""Convolution of maps of one channel, as images have them, for a CPU."""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from pneumo_jax.models import library

Map = Float[Array, 'b h w c']
Kernel = Float[Array, 'k k i o']


def suits(x: Map, kernel: Kernel, stride: int, padding: int) -> bool:
    """Whether `conv` can do it, and gains."""
    size = len(kernel)
    odd = any((length + 2 * padding - size + 1) % 2 for length in x.shape[1:3])
    return x.shape[-1] == 1 and size > stride and (stride == 2 or (stride == 1 and not odd))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv(x: Map, kernel: Kernel, stride: int, padding: int) -> Map:
    """Of an image of one channel, its squares of 2x2 as pixels of four channels.

    With one channel in, a product is too narrow. At stride 1 the outputs are worked out by squares
    too: nearly half of the matrix is zero then, and it is faster; larger squares are slower. The
    barrier stands before they are laid out as a map, for pooling to do that. Milliseconds, library
    / this: 3x3 to 16 channels and pooled, 28 px (batch 128) 4.1 / 1.3, 224 px (batch 32) 56 / 18;
    7x7 to 64 channels at stride 2, 28 px 3.1 / 1.6, 224 px (batch 8) 10 / 6.6. With three channels
    nothing is gained.
    """
    k, channels, side = len(kernel), kernel.shape[-1], 2 // stride
    taps = (k + side) // 2
    spare = 2 * taps - k
    counts = [(n + 2 * padding - k + 2) // 2 for n in x.shape[1:3]]
    after = [2 * (n + taps - 1) - m - padding for n, m in zip(counts, x.shape[1:3], strict=True)]
    none, zero = (0, 0, 0), jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, (none, (padding, after[0], 0), (padding, after[1], 0), none))
    shifted = [
        jnp.pad(kernel, ((i, spare - i), (j, spare - j), (0, 0), (0, 0)))
        for i in range(side)
        for j in range(side)
    ]
    wide = _squares(jnp.concatenate(shifted, axis=-1).transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0)
    y = library.conv(lax.optimization_barrier(_squares(x)), wide, 1, 0, 1)
    y = lax.optimization_barrier(y).reshape(-1, *counts, side, side, channels).swapaxes(2, 3)
    return y.reshape(-1, side * counts[0], side * counts[1], channels)


def _squares(x: Map) -> Map:
    """Each 2x2 of a map of one channel as one pixel of four."""
    b, h, w, _ = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2).swapaxes(2, 3).reshape(b, h // 2, w // 2, 4)


def _forward(x: Map, kernel: Kernel, stride: int, padding: int) -> tuple[Map, tuple[Map, Kernel]]:
    return conv(x, kernel, stride, padding), (x, kernel)


def _backward(stride: int, padding: int, kept: tuple[Map, Kernel], dy: Map) -> tuple[Map, Kernel]:
    # The library's: faster, and on several devices it is the kernel that is summed over them.
    plain = functools.partial(library.conv, stride=stride, padding=padding, groups=1)
    found: tuple[Map, Kernel] = jax.vjp(plain, *kept)[1](lax.optimization_barrier(dy))
    return found


conv.defvjp(_forward, _backward)
