"""Convolution of NHWC maps, with torch's integer padding.

On a GPU every form is the library's own. XLA's CPU code is good for stride 1 on maps larger than
the kernel and collapses elsewhere; there the same sum is written as one product of matrices.
`forms.choose` picks when the program is lowered, so that it stays portable. The numbers
below are milliseconds for value and gradients on 2 cores, library / ours, both compiled as
`runtime.jit` does; experiments/speed has what else was tried.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from pneumo_jax import forms
from pneumo_jax.models import winograd

# Strided 3x3: 46 / 3.2 at 4 px (batch 128); about even from 7 to 28 px, and at 56 px, where patches
# cost memory, 12 / 19.
LARGEST_STRIDED = 16

Map = Float[Array, 'b h w c']
Kernel = Float[Array, 'k k i o']
Rows = Float[Array, '*b i']
Matrix = Float[Array, 'm n']


def conv(x: Map, kernel: Kernel, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Map:
    """Cross-correlation with a square kernel over a map zero-padded by `padding` on every side.

    A map smaller than the kernel is zero-padded further, bottom and right, to give one output.
    """
    size = kernel.shape[0]
    grow = [(0, max(0, size - 2 * padding - length)) for length in x.shape[1:3]]
    x = jnp.pad(x, ((0, 0), *grow, (0, 0)))
    library = functools.partial(_library, stride=stride, padding=padding, groups=groups)
    form = _cpu_form(x, kernel, stride, padding, groups) or library

    def cpu(x: Map, kernel: Kernel) -> Map:
        # Without the barriers XLA works out what led to `x` anew, inside the transposing loops
        # that its gradients begin with (`cnn_bn_dropout` at 224 px: 250 ms, against 27).
        x = lax.optimization_barrier(x)
        if _is_narrow(x, kernel, stride, padding):
            return _in_squares(x, kernel, stride, padding)
        return lax.optimization_barrier(form(x, kernel))

    return forms.choose(x, kernel, cpu=cpu, default=library)


def dot(x: Rows, kernel: Matrix, *_: Any, **__: Any) -> Rows:
    """`x @ kernel`, in the place of `lax.dot_general` in `Dense`."""
    return _product(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], -1)


def _cpu_form(
    x: Map, kernel: Kernel, stride: int, padding: int, groups: int
) -> Callable[[Map, Kernel], Map] | None:
    """What is faster on a CPU than the library, if anything is."""
    (size, _, _, features), (*_, height, width, channels) = kernel.shape, x.shape
    smallest = min(height, width)
    if groups > 1:
        depthwise = stride == 1 and groups == channels == features
        # 7x7: 473 / 75 at 56 px, 163 / 11 at 7 px, 56 / 1.6 at 1 px
        return functools.partial(_depthwise, padding=padding) if depthwise else None
    if size == stride and not padding:  # 1x1: 16 / 12 at 56 px; 4x4: 5.0 / 2.1 at 224 px
        return _tiles
    if (
        size == 1  # stride 2: 5.0 / 3.4 at 56 px
        or smallest < size  # 3x3: 204 / 5.9 at 2 px, 58 / 1.3 at 1 px; at 4 px 5.2 / 6.6
        or (stride > 1 and smallest <= LARGEST_STRIDED)
    ):
        return functools.partial(_patches, stride=stride, padding=padding)
    if (size, stride, padding) == (3, 1, 1) and winograd.suits(x, kernel):
        return winograd.conv
    if channels == 1:  # under `vmap` a grouped convolution is the better one
        return None
    return lambda x, kernel: _own(x, kernel, stride, padding, groups)


def _library(x: Map, kernel: Kernel, stride: int, padding: int, groups: int) -> Map:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=groups,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _own(x: Map, kernel: Kernel, stride: int, padding: int, groups: int) -> Map:
    """The library's, also where `vmap` gives each of several seeds a kernel of its own."""
    library = functools.partial(_library, stride=stride, padding=padding, groups=groups)
    y: Map = forms.one_by_one(library)(x, kernel)
    return y


def _own_forward(
    x: Map, kernel: Kernel, stride: int, padding: int, groups: int
) -> tuple[Map, tuple[Map, Kernel]]:
    return _own(x, kernel, stride, padding, groups), (x, kernel)


def _own_backward(
    stride: int, padding: int, groups: int, kept: tuple[Map, Kernel], dy: Map
) -> tuple[Map, Kernel]:
    library = functools.partial(_library, stride=stride, padding=padding, groups=groups)

    def gradients(x: Map, kernel: Kernel, dy: Map) -> tuple[Map, Kernel]:
        return jax.vjp(library, x, kernel)[1](dy)

    found: tuple[Map, Kernel] = forms.one_by_one(gradients)(*kept, dy)
    return found


_own.defvjp(_own_forward, _own_backward)


def _matmul(patches: Map, kernel: Kernel) -> Map:
    # As one flat matrix: 15 ms, against 19 for the contraction of the 4-D array (1x1, 7 px).
    return dot(patches, kernel.reshape(-1, kernel.shape[-1]))


@jax.custom_vjp
def _product(x: Matrix, kernel: Matrix) -> Matrix:
    return x @ kernel


def _product_forward(x: Matrix, kernel: Matrix) -> tuple[Matrix, tuple[Matrix, Matrix]]:
    return x @ kernel, (x, kernel)


def _product_backward(kept: tuple[Matrix, Matrix], dy: Matrix) -> tuple[Matrix, Matrix]:
    x, kernel = kept

    def library(x: Matrix, dy: Matrix) -> Matrix:
        return x.T @ dy

    def narrow_first(x: Matrix, dy: Matrix) -> Matrix:
        # 6400 x 512 by 6400 x 128: 3.0 ms, against 4.4; 25088 x 256 by 64: 3.4, against 5.6. The
        # barrier keeps XLA from folding the transposition back into the product.
        return lax.optimization_barrier(dy.T @ x).T

    # With few rows the product is little work, and turning its result around is most of it.
    many = len(x) >= x.shape[1] > dy.shape[1]
    cpu = narrow_first if many else library
    return dy @ kernel.T, forms.choose(x, dy, cpu=cpu, default=library)


_product.defvjp(_product_forward, _product_backward)


def _tiles(x: Map, kernel: Kernel) -> Map:
    b, h, w, c = x.shape
    k = len(kernel)
    tiles = x[:, : h // k * k, : w // k * k].reshape(b, h // k, k, w // k, k, c)
    return _matmul(tiles.swapaxes(2, 3).reshape(b, h // k, w // k, -1), kernel)


def _patches(x: Map, kernel: Kernel, stride: int, padding: int) -> Map:
    slices, kernel = _slices(x, kernel, stride, padding)
    return _matmul(jnp.concatenate(slices, axis=-1), kernel)


def _is_narrow(x: Map, kernel: Kernel, stride: int, padding: int) -> bool:
    """Whether `_in_squares` can do it, and gains."""
    size = len(kernel)
    odd = any((length + 2 * padding - size + 1) % 2 for length in x.shape[1:3])
    return x.shape[-1] == 1 and size > stride and (stride == 2 or (stride == 1 and not odd))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _in_squares(x: Map, kernel: Kernel, stride: int, padding: int) -> Map:
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
    library = functools.partial(_library, stride=1, padding=0, groups=1)
    y = forms.one_by_one(library)(lax.optimization_barrier(_squares(x)), wide)
    y = lax.optimization_barrier(y).reshape(-1, *counts, side, side, channels).swapaxes(2, 3)
    return y.reshape(-1, side * counts[0], side * counts[1], channels)


def _squares(x: Map) -> Map:
    """Each 2x2 of a map of one channel as one pixel of four."""
    b, h, w, _ = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2).swapaxes(2, 3).reshape(b, h // 2, w // 2, 4)


def _in_squares_forward(
    x: Map, kernel: Kernel, stride: int, padding: int
) -> tuple[Map, tuple[Map, Kernel]]:
    return _in_squares(x, kernel, stride, padding), (x, kernel)


def _in_squares_backward(
    stride: int, padding: int, kept: tuple[Map, Kernel], dy: Map
) -> tuple[Map, Kernel]:
    # The library's: faster, and on several devices it is the kernel that is summed over them.
    return _own_backward(stride, padding, 1, kept, lax.optimization_barrier(dy))


_in_squares.defvjp(_in_squares_forward, _in_squares_backward)


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
