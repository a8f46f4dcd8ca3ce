"""Convolution and pooling on NHWC maps, with torch's integer padding.

On a GPU every form is the library's own. XLA's CPU code is good for stride 1 on maps larger than
the kernel and collapses elsewhere; there the same sum is written as patches times a matrix.
`lax.platform_dependent` picks when the program is lowered, so that it stays portable. The numbers
below are milliseconds for value and gradients on 2 cores, library / ours.
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

# Strided 3x3, batch 128: 68 / 10 at 4 px, 8.6 / 6.6 at 7 px, 27 / 16 at 14 px; even from 28 px on,
# where patches cost memory and the 7x7 stem is twice as slow (6.8 / 13).
LARGEST_STRIDED = 16

Map = Float[Array, 'b h w c']
Kernel = Float[Array, 'k k i o']


def conv(x: Map, kernel: Kernel, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Map:
    """Cross-correlation with a square kernel over a map zero-padded by `padding` on every side.

    A map smaller than the kernel is zero-padded further, bottom and right, to give one output.
    """
    size = kernel.shape[0]
    x = _at_least(x, size - 2 * padding, 0)
    smallest = min(x.shape[1:3])
    cpu: Callable[[Map, Kernel], Map]
    library = functools.partial(_library, stride=stride, padding=padding, groups=groups)
    if groups == x.shape[-1] > 1 and stride == 1:
        cpu = functools.partial(_depthwise, padding=padding)
    elif size == stride and not padding:  # 1x1: 35 / 15 at 56 px; 2x2 stride 2: 93 / 65 at 56 px
        cpu = _tiles
    elif (
        size == 1  # stride 2: 18 / 11 at 56 px
        or smallest < size  # 3x3: 188 / 12 at 2 px, 96 / 2 at 1 px; at 4 px 10 / 12
        or (stride > 1 and smallest <= LARGEST_STRIDED)
    ):
        cpu = functools.partial(_patches, stride=stride, padding=padding)
    else:
        return library(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=cpu, default=library)


def max_pool(x: Map, window: int, *, stride: int, padding: int = 0) -> Map:
    """Maximum over square windows, the map padded with -inf; a smaller map gives one output.

    Where values tie, the CPU forms share the gradient between them.
    """
    x = _at_least(x, window - 2 * padding, -jnp.inf)
    library = functools.partial(_library_max, window=window, stride=stride, padding=padding)
    if window == stride and not padding:  # 2x2: 12.4 / 3.1 at 14 px, 198 / 109 at 112 px
        cpu = functools.partial(_max_of_tiles, window=window)
    else:  # 3x3 stride 2: 44 / 9 at 14 px, 262 / 110 at 112 px
        cpu = functools.partial(_max_of_slices, window=window, stride=stride, padding=padding)
    return lax.platform_dependent(x, cpu=cpu, default=library)


def avg_pool(x: Map, window: int) -> Map:
    """Mean over square windows side by side; a map smaller than the window gives its mean."""
    b, h, w, c = x.shape
    kh, kw = min(window, h), min(window, w)
    x = x[:, : h // kh * kh, : w // kw * kw]
    return x.reshape(b, h // kh, kh, w // kw, kw, c).mean((2, 4))


def global_avg_pool(x: Map) -> Float[Array, 'b c']:
    return x.mean((1, 2))


def _at_least(x: Map, size: int, value: float) -> Map:
    grow = [(0, max(0, size - length)) for length in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *grow, (0, 0)), constant_values=value)


def _library(x: Map, kernel: Kernel, stride: int, padding: int, groups: int) -> Map:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=groups,
    )


def _matmul(patches: Map, kernel: Kernel) -> Map:
    # As one flat matrix: 15 ms, against 19 for the contraction of the 4-D array (1x1, 7 px).
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return (patches.reshape(-1, len(matrix)) @ matrix).reshape(*patches.shape[:3], -1)


def _tiles(x: Map, kernel: Kernel) -> Map:
    b, h, w, c = x.shape
    k = len(kernel)
    tiles = x[:, : h // k * k, : w // k * k].reshape(b, h // k, k, w // k, k, c)
    return _matmul(tiles.swapaxes(2, 3).reshape(b, h // k, w // k, -1), kernel)


def _patches(x: Map, kernel: Kernel, stride: int, padding: int) -> Map:
    slices, kernel = _slices(x, kernel, stride, padding)
    return _matmul(jnp.concatenate(slices, axis=-1), kernel)


def _depthwise(x: Map, kernel: Kernel, padding: int) -> Map:
    """Per channel, rows of the map times banded matrices, one for each row of the kernel."""
    b, h, w, c = x.shape
    k = len(kernel)
    height, width = h + 2 * padding - k + 1, w + 2 * padding - k + 1
    bands = jnp.stack([jnp.eye(w, width, padding - j, kernel.dtype) for j in range(k)])
    matrices = jnp.einsum('ijc,jvw->civw', kernel[:, :, 0], bands).reshape(c, k * w, width)
    x = jnp.pad(x.transpose(3, 0, 1, 2), ((0, 0), (0, 0), (padding, padding), (0, 0)))
    rows = jnp.concatenate([x[:, :, i : i + height] for i in range(k)], axis=-1)
    y = rows.reshape(c, b * height, k * w) @ matrices
    return y.reshape(c, b, height, width).transpose(1, 2, 3, 0)


def _slices(x: Map, kernel: Kernel, stride: int, padding: int) -> tuple[list[Map], Kernel]:
    """What each tap of the kernel sees, and the kernel without the taps that see only padding."""
    (rows, height), (columns, width) = (
        _live_taps(length, len(kernel), stride, padding) for length in x.shape[1:3]
    )
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    x_rows = [lax.slice_in_dim(x, i, i + height, stride, axis=1) for i in rows]
    slices = [lax.slice_in_dim(r, j, j + width, stride, axis=2) for r in x_rows for j in columns]
    return slices, kernel[rows.start : rows.stop, columns.start : columns.stop]


def _live_taps(length: int, size: int, stride: int, padding: int) -> tuple[range, int]:
    """The taps that meet the map, and how far the kernel travels (last start + 1)."""
    travel = (length + 2 * padding - size) // stride * stride + 1
    live = [
        i
        for i in range(size)
        if any(0 <= start + i - padding < length for start in range(0, travel, stride))
    ]
    return range(live[0], live[-1] + 1), travel


def _library_max(x: Map, window: int, stride: int, padding: int) -> Map:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    shape, strides = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, shape, strides, pads)


def _max_of_tiles(x: Map, window: int) -> Map:
    b, h, w, c = x.shape
    x = x[:, : h // window * window, : w // window * window]
    return x.reshape(b, h // window, window, w // window, window, c).max((2, 4))


def _max_of_slices(x: Map, window: int, stride: int, padding: int) -> Map:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, pads, constant_values=-jnp.inf)
    for axis in (1, 2):
        travel = (x.shape[axis] - window) // stride * stride + 1
        parts = [lax.slice_in_dim(x, i, i + travel, stride, axis) for i in range(window)]
        x = functools.reduce(jnp.maximum, parts)
    return x
