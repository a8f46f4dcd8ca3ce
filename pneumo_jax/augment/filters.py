"""Linear filters of an image, and what JPEG leaves of it.

Images are float [h w c] in [0, 1]; results may lie a little outside.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Image = Float[Array, 'h w c']
Scalar = Float[Array, ''] | float
Matrix = Float[Array, 'u v'] | Float[np.ndarray, 'u v']

# The luminance table of the JPEG standard (ITU-T T.81, annex K.1).
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def blur(image: Image, sd: Scalar) -> Image:
    """A Gaussian of standard deviation `sd` pixels; at the border what lies inside has weight 1."""

    def rows(n: int) -> Float[Array, 'n n']:
        away = np.subtract.outer(np.arange(n), np.arange(n))
        weights = jnp.exp(-0.5 * (away / jnp.maximum(sd, 0.01)) ** 2)
        return weights / weights.sum(1, keepdims=True)

    return along(rows(image.shape[0]), image, rows(image.shape[1]))


def along(rows: Matrix, image: Image, columns: Matrix) -> Image:
    """A linear map of the columns of an image and one of its rows, in full precision on a GPU."""
    path: list[tuple[int, ...]] = [(0, 1), (0, 1)]
    precision = lax.Precision.HIGHEST
    return jnp.einsum('uh,hwc,vw->uvc', rows, image, columns, optimize=path, precision=precision)


def sharpness(image: Image, factor: Scalar) -> Image:
    """Pillow's `ImageEnhance.Sharpness`: 0 is smoothed 3 x 3, 1 the same, 2 sharper.

    The border stays as it is, and so does an image that is all border.
    """
    if min(image.shape[:2]) < 3:
        return image
    rows = image[:-2] + image[1:-1] + image[2:]
    box = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    inner = image[1:-1, 1:-1]
    detail = inner - (box + 4 * inner) / 13
    return image + jnp.pad(detail * (factor - 1), [(1, 1), (1, 1), (0, 0)])


def jpeg(image: Image, quality: Int[Array, ''] | int) -> Image:
    """What JPEG at this quality (1 to 100) leaves, each channel taken as luminance.

    8 x 8 cosine transforms, their coefficients rounded to multiples of libjpeg's scaled table.
    """
    quality = jnp.asarray(quality)
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    table = jnp.clip((LUMINANCE * scale + 50) // 100, 1, 255)
    (rows, rows_back), (columns, columns_back) = map(_cosines, image.shape[:2])
    blocks = len(rows) // 8, len(columns) // 8
    step = jnp.tile(table, blocks)[..., None] / 255
    waves = along(rows, image - 128 / 255, columns)
    return along(rows_back, jnp.round(waves / step) * step, columns_back) + 128 / 255


def _cosines(n: int) -> tuple[Float[np.ndarray, 'm n'], Float[np.ndarray, 'n m']]:
    """The cosine transforms of blocks of 8 along n pixels, m with the last one repeated; and back.

    Block-diagonal matrices: more products than 8 x 8 ones, but no array is cut up and reordered.
    """
    frequency, place = np.mgrid[:8, :8]
    waves = np.cos(np.pi * frequency * (2 * place + 1) / 16) / np.where(frequency, 2, 8**0.5)
    forward = np.kron(np.eye(-(-n // 8)), waves).astype(np.float32)
    padded = np.eye(n, dtype=np.float32)[np.minimum(np.arange(len(forward)), n - 1)]
    return forward @ padded, forward.T[:n]
