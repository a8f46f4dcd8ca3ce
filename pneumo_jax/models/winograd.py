"""3x3 convolution with 16 products where 36 are written: Winograd's F(2x2, 3x3), for a CPU.

Lavin and Gray 2016 (arXiv:1509.09308): tiles of 4x4 pixels, two pixels apart, and the kernel are
transformed so that a tile's 2x2 outputs follow from one product a place, over channels, which is
16 products of matrices over all tiles. In float32 the results differ from the direct sum by 1e-6
of their size. Milliseconds on one core, the library's / these, for value and for both gradients:

    8 maps of 56 px, 64 channels     20 / 15    44 / 39
    8 maps of 28 px, 128 channels    17 / 11    38 / 27
    8 maps of 14 px, 256 channels    17 / 10    37 / 24
    8 maps of 7 px, 512 channels     17 / 15    42 / 36
    8 maps of 56 px, 128 to 32       21 / 23

With fewer channels the products are narrow, and reading and writing the tiles is most of it.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

Map = Float[Array, 'b h w c']
Kernel = Float[Array, '3 3 i o']
Tiles = Float[Array, '16 n c']  # 4x4 places, of n tiles
Parts = Sequence[Array] | Array  # along the first axis

LEAST_CHANNELS = 64
# From here on the kernel's gradient gains too; with 64 channels it is the library's, 24 / 26.
LEAST_FOR_KERNEL = 128


def suits(x: Map, kernel: Kernel) -> bool:
    """Whether `conv` of such arrays gains; in bfloat16 differences of neighbours are too coarse."""
    wide = min(kernel.shape[2:]) >= LEAST_CHANNELS
    return wide and min(x.shape[1:3]) > 3 and x.dtype == jnp.float32


@jax.custom_vjp
def conv(x: Map, kernel: Kernel) -> Map:
    """Cross-correlation of a map, zero-padded by one pixel, at stride 1."""
    return _outputs(jnp.matmul(_tiles(x), _points(kernel)), x.shape)


def _forward(x: Map, kernel: Kernel) -> tuple[Map, tuple[Map, Kernel]]:
    return conv(x, kernel), (x, kernel)


def _backward(kept: tuple[Map, Kernel], dy: Map) -> tuple[Map, Kernel]:
    x, kernel = kept
    # A map's gradient is the convolution of `dy` with the kernel turned around: which its points
    # are too, in another order (512 channels: 98 ms where the kernel itself is turned, and 21).
    turned = _points(kernel).reshape(4, 4, *kernel.shape[2:])[_TURNED][:, _TURNED]
    products = jnp.einsum('nto,nio->nti', _tiles(dy), turned.reshape(16, *kernel.shape[2:]))
    return _outputs(products, x.shape), _of_kernel(x, dy)


conv.defvjp(_forward, _backward)


def _of_kernel(x: Map, dy: Map) -> Kernel:
    if min(x.shape[-1], dy.shape[-1]) < LEAST_FOR_KERNEL:
        dimensions = lax.conv_dimension_numbers(x.shape, dy.shape, ('CHWN', 'IHWO', 'HWNC'))
        return lax.conv_general_dilated(x, dy, (1, 1), [(1, 1)] * 2, dimension_numbers=dimensions)
    points = lax.optimization_barrier(jnp.matmul(_tiles(x).swapaxes(1, 2), _spread(dy)))
    columns = _kernel_of(points.reshape(4, 4, *points.shape[1:]))
    return _kernel_of(columns.swapaxes(0, 1))


def _tiles(x: Map) -> Tiles:
    """The transformed tiles of a map; one more row or column of zeros where a side is odd."""
    height, width = _counts(x.shape)
    h, w = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 2 * height + 1 - h), (1, 2 * width + 1 - w), (0, 0)))
    x = x.reshape(x.shape[0], height + 1, 2, width + 1, 2, -1)  # len() wants a known number
    rows = _of_pixels([x[:, i // 2 : i // 2 + height, i % 2] for i in range(4)])
    # In two steps: all at once takes a fifth longer, and twice as long to compile.
    rows = lax.optimization_barrier(rows)
    places = _of_pixels([rows[:, :, :, j // 2 : j // 2 + width, j % 2] for j in range(4)])
    return _flat(places)


def _spread(dy: Map) -> Tiles:
    """What the gradient of a tile's 2x2 outputs is, for each of its 16 products."""
    height, width = _counts(dy.shape)
    h, w = dy.shape[1:3]
    dy = jnp.pad(dy, ((0, 0), (0, 2 * height - h), (0, 2 * width - w), (0, 0)))
    dy = dy.reshape(dy.shape[0], height, 2, width, 2, -1)
    rows = lax.optimization_barrier(_of_gradients([dy[:, :, i] for i in range(2)]))
    return _flat(_of_gradients([rows[:, :, :, :, j] for j in range(2)]))


def _flat(places: Float[Array, 'j i b h w c']) -> Tiles:
    """From columns and rows of a tile first, to its places in the order of `_points`."""
    return lax.optimization_barrier(places).reshape(16, -1, places.shape[-1])


def _points(kernel: Kernel) -> Float[Array, '16 i o']:
    """The transformed kernel, columns first: as a product, half to three quarters of the time."""
    taps = kernel.reshape(9, *kernel.shape[2:])
    return jnp.einsum('pt,tio->pio', jnp.asarray(_POINTS, kernel.dtype), taps)


def _outputs(products: Tiles, shape: tuple[int, ...]) -> Map:
    (height, width), (b, h, w, _) = _counts(shape), shape
    products = lax.optimization_barrier(products).reshape(4, 4, b, height, width, -1)
    pixels = _of_products(_of_products(products).swapaxes(0, 1))  # its rows first, then columns
    y = pixels.transpose(2, 3, 0, 4, 1, 5).reshape(b, 2 * height, 2 * width, -1)
    return y[:, :h, :w]


def _counts(shape: tuple[int, ...]) -> tuple[int, int]:
    """Tiles along height and width of a map of this shape."""
    return -(-shape[1] // 2), -(-shape[2] // 2)


# The transforms along the first axis: those of the paper, and their transposes for the gradient.
_TURNED = np.array([3, 1, 2, 0])  # the points of a kernel that is turned around


def _of_pixels(d: Parts) -> Array:
    return jnp.stack([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])


_OF_KERNELS = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
_POINTS = np.einsum('jb,ia->jiab', _OF_KERNELS, _OF_KERNELS).reshape(16, 9)


def _of_products(m: Parts) -> Array:
    return jnp.stack([m[0] + m[1] + m[2], m[1] - m[2] - m[3]])


def _of_gradients(y: Parts) -> Array:
    return jnp.stack([y[0], y[0] + y[1], y[0] - y[1], -y[1]])


def _kernel_of(u: Parts) -> Array:
    return jnp.stack([u[0] + (u[1] + u[2]) / 2, (u[1] - u[2]) / 2, (u[1] + u[2]) / 2 + u[3]])
