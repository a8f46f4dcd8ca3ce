"""Crop, flip, rotation and shear: one affine map of coordinates, and one bilinear resampling."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

Image = Float[Array, 'h w c']
Scalar = Float[Array, ''] | float
Pair = Float[Array, '2']  # of height and width, or of y and x

WIDEST = math.log(4 / 3)  # Inception's crops, Szegedy et al., Going deeper with convolutions, 2015


def create(
    *, crop: float, flip: bool, rotate: float, shear: float
) -> Callable[[Key[Array, ''], Image], Image]:
    """`(key, image) -> image`; the fields are those of `augment.create`."""

    def operation(key: Key[Array, ''], image: Image) -> Image:
        # Four keys whatever is on, so that no field changes what the others draw.
        keys = jax.random.split(key, 4)
        sides, shift = view(keys[0], crop or 1)
        mirror = jnp.where(jax.random.bernoulli(keys[1], 0.5 if flip else 0.0), -1.0, 1.0)
        degrees = jax.random.uniform(keys[2], minval=-rotate, maxval=rotate)
        slant = jax.random.uniform(keys[3], minval=-shear, maxval=shear)
        turned = linear(degrees=degrees, slant=slant, mirror=mirror)
        return sample(image, sides[:, None] * turned, shift)

    return operation


def shrink(times: int) -> Callable[[Key[Array, ''], Image], Image]:
    """`(key, image) -> image`, every pixel of it the mean of `times` x `times`."""

    def operation(key: Key[Array, ''], image: Image) -> Image:
        del key  # nothing is drawn
        height, width, channels = image.shape
        blocks = image.reshape(height // times, times, width // times, times, channels)
        return blocks.mean((1, 3))

    return operation


def view(key: Key[Array, ''], least: float) -> tuple[Pair, Pair]:
    """A random resized crop: its sides and the shift of its centre, as shares of the image's.

    The area is uniform in [least, 1]; the ratio of the shares is log-uniform in [3/4, 4/3],
    narrowed to what fits into the image, so that a crop keeps the area drawn and needs no retry.
    """
    keys = jax.random.split(key, 3)
    area = jax.random.uniform(keys[0], minval=least, maxval=1)
    limit = jnp.minimum(WIDEST, -jnp.log(area))
    ratio = jnp.exp(jax.random.uniform(keys[1], minval=-limit, maxval=limit))
    sides = jnp.minimum(jnp.sqrt(area * jnp.stack([1 / ratio, ratio])), 1)  # 1 + round-off
    return sides, (1 - sides) * jax.random.uniform(keys[2], (2,), minval=-0.5, maxval=0.5)


def linear(
    *, degrees: Scalar = 0.0, slant: Scalar = 0.0, mirror: Scalar = 1.0
) -> Float[Array, '2 2']:
    """Where (y, x) of the result lies in the original: mirrored, sheared along x, then turned.

    Angles are in degrees, a turn is counter-clockwise, `mirror` is 1 or -1. Written out: a product
    of matrices would round to ten bits on a GPU.
    """
    angle, shear = jnp.deg2rad(degrees), jnp.tan(jnp.deg2rad(slant))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rows = [cos + sin * shear, sin * mirror], [cos * shear - sin, cos * mirror]
    return jnp.stack([jnp.stack(row) for row in rows])


def sample(image: Image, matrix: Float[Array, '2 2'], shift: Pair) -> Image:
    """Pixel p of the result is the image at `matrix @ p + shift`, seen from the centre, bilinear.

    `matrix` is in pixels, `shift` in shares of height and width. Beyond the border its nearest
    pixel goes on: a black wedge would be an edge, and a darkness, that no radiograph has and that
    tells the network the angle.
    """
    height, width, channels = image.shape
    y = (jnp.arange(height) - (height - 1) / 2)[:, None]
    x = (jnp.arange(width) - (width - 1) / 2)[None]
    rows = _taps(matrix[0, 0] * y + matrix[0, 1] * x + shift[0] * height, height)
    columns = _taps(matrix[1, 0] * y + matrix[1, 1] * x + shift[1] * width, width)
    flat = jnp.asarray(image).reshape(-1, channels)

    def at(row: Int[Array, 'h w'], column: Int[Array, 'h w']) -> Image:
        # Four gathers from a flat image, not clamped anew, fuse into one loop on a CPU.
        return flat.at[row * width + column].get(mode='promise_in_bounds')

    (top, bottom, down), (left, right, across) = rows, columns
    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    return upper * (1 - down) + lower * down


def _taps(
    centred: Float[Array, 'h w'], length: int
) -> tuple[Int[Array, 'h w'], Int[Array, 'h w'], Float[Array, 'h w 1']]:
    """The pixels on either side of a coordinate, and the weight of the second."""
    position = jnp.clip(centred + (length - 1) / 2, 0, length - 1)
    first = position.astype(jnp.int32)
    return first, jnp.minimum(first + 1, length - 1), (position - first)[..., None]
