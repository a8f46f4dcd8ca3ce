"""Pooling on NHWC maps, with torch's integer padding.

On a GPU the maximum is the library's own. On a CPU XLA's gradient of it (select-and-scatter) is
slow, and the gradient that jax derives from `max` compares the input with its maximum: where XLA
computes the two in different fusions they can differ in the last bit, and the gradient is lost.
So the forward pass keeps, as a byte, which tap of the window won. The numbers below are
milliseconds for value and gradient on 2 cores, library / derived from `max` / ours.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jaxtyping import Float, Int8

from pneumo_jax import forms

Map = Float[Array, 'b h w c']
Taps = Int8[Array, 'b h2 w2 c']


def max_pool(x: Map, window: int, *, stride: int, padding: int = 0) -> Map:
    """Maximum over square windows, the map padded with -inf; a smaller map gives one output.

    Where values tie, the gradient goes to the first of them, as in torch.
    """
    x = _at_least(x, window - 2 * padding)
    # 2x2, 28 px, 32 channels: 84 / 13 / 5.4. 3x3 stride 2, 112 px, 64 channels: 234 / 89 / 40.
    cpu = functools.partial(_winner, window=window, stride=stride, padding=padding, shape=x.shape)
    library, named = (
        functools.partial(form, window=window, stride=stride, padding=padding)
        for form in (_library, _named)
    )
    if window**2 > np.iinfo(np.int8).max:  # which numbers the taps of a window
        cpu = library
    return forms.choose(x, cpu=cpu, default=library, converted=named)


def avg_pool(x: Map, window: int) -> Map:
    """Mean over square windows side by side; a map smaller than the window gives its mean."""
    b, h, w, c = x.shape
    kh, kw = min(window, h), min(window, w)
    x = x[:, : h // kh * kh, : w // kw * kw]
    return x.reshape(b, h // kh, kh, w // kw, kw, c).mean((2, 4))


def global_avg_pool(x: Map) -> Float[Array, 'b c']:
    """Mean over the whole map."""
    return x.mean((1, 2))


def _at_least(x: Map, size: int) -> Map:
    grow = [(0, max(0, size - length)) for length in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *grow, (0, 0)), constant_values=-jnp.inf)


def _library(x: Map, window: int, stride: int, padding: int) -> Map:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    shape, strides = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, shape, strides, pads)


def _named(x: Map, window: int, stride: int, padding: int) -> Map:
    """By flax's function, which the converter to ONNX knows by its name, as `VALID`."""
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, pads, constant_values=-jnp.inf)
    return nn.max_pool(x, window_shape=(window, window), strides=(stride, stride))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _winner(x: Map, window: int, stride: int, padding: int, shape: tuple[int, ...]) -> Map:
    return _forward(x, window, stride, padding, shape)[0]


def _forward(
    x: Map, window: int, stride: int, padding: int, shape: tuple[int, ...]
) -> tuple[Map, Taps]:
    best, *others = _slices(x, window, stride, padding)
    taps = jnp.zeros(best.shape, jnp.int8)
    for tap, part in enumerate(others, 1):
        taps = jnp.where(part > best, jnp.int8(tap), taps)
        best = jnp.maximum(best, part)
    return best, lax.optimization_barrier(taps)


def _backward(
    window: int, stride: int, padding: int, shape: tuple[int, ...], taps: Taps, gradient: Map
) -> tuple[Map]:
    """Every element asks each window over it whether it won: one pass, nothing is scattered.

    The map is cut into cells of `stride` elements a side. The windows over an element are those
    that start in its own cell and up to `reach` - 1 cells before, and its place in its cell says
    which tap of each of them it is.
    """
    reach = -(-window // stride)
    edges = ((0, 0), (reach - 1, reach - 1), (reach - 1, reach - 1), (0, 0))
    taps, gradient = lax.optimization_barrier((jnp.pad(taps, edges), jnp.pad(gradient, edges)))
    rows, columns = (length - reach + 1 for length in taps.shape[1:3])

    def share(i: int, j: int) -> Map:
        """What the windows that start `i` cells above and `j` to the left give."""
        top, left = reach - 1 - i, reach - 1 - j
        part = (slice(None), slice(top, top + rows), None, slice(left, left + columns), None)
        return jnp.where(taps[part] == _own(i, j, window, stride), gradient[part], 0)

    pairs = itertools.product(range(reach), repeat=2)
    cells = functools.reduce(jnp.add, itertools.starmap(share, pairs))
    b, h, w, c = shape
    whole = cells.reshape(b, rows * stride, columns * stride, c)
    crop = [(-padding, n + padding - m, 0) for n, m in zip((h, w), whole.shape[1:3], strict=True)]
    zero = jnp.zeros((), whole.dtype)
    return (lax.optimization_barrier(lax.pad(whole, zero, ((0,) * 3, *crop, (0,) * 3))),)


def _own(i: int, j: int, window: int, stride: int) -> Int8[np.ndarray, 'stride 1 stride 1']:
    """Which tap an element is, by its place in its cell, and -1 beyond the window."""
    row, column = (cell * stride + np.arange(stride) for cell in (i, j))
    inside = (row < window)[:, None] & (column < window)
    taps = np.where(inside, row[:, None] * window + column, -1)
    return taps.astype(np.int8)[:, None, :, None]


_winner.defvjp(_forward, _backward)


def _slices(x: Map, window: int, stride: int, padding: int) -> list[Map]:
    """What each tap of the window sees."""
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, pads, constant_values=-jnp.inf)
    rows, columns = ((length - window) // stride * stride + 1 for length in x.shape[1:3])
    return [
        x[:, i : i + rows : stride, j : j + columns : stride]
        for i in range(window)
        for j in range(window)
    ]
