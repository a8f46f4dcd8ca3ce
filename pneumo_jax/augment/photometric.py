"""What leaves every pixel in its place: light, noise, cut-out, and the filters, at random.

Images are float [h w c] in [0, 1]. Results may lie outside: `augment.create` clips them.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from pneumo_jax.augment import filters

Image = Float[Array, 'h w c']
Scalar = Float[Array, ''] | float
Random = Callable[[Key[Array, ''], Image], Image]


def create(largest: Mapping[str, float]) -> dict[str, Random]:
    """The operations whose field of `augment.create` is not 0, in the order given."""
    return {
        name: functools.partial(RANDOM[name], largest=value)
        for name, value in largest.items()
        if value
    }


def brightness(image: Image, factor: Scalar) -> Image:
    """Every pixel times the factor."""
    return image * factor


def contrast(image: Image, factor: Scalar) -> Image:
    """The distance from the image's mean, times the factor."""
    mean = image.mean()
    return mean + (image - mean) * factor


def gamma(image: Image, exponent: Scalar) -> Image:
    """Every pixel to the power of the exponent: above 1 darkens."""
    return image**exponent


def noise(key: Key[Array, ''], image: Image, sd: Scalar) -> Image:
    """Independent Gaussian noise on every pixel."""
    return image + sd * jax.random.normal(key, image.shape)


def cutout(image: Image, centre: Float[Array, '2'], side: Scalar) -> Image:
    """The image's mean in a square; `centre` in shares of height and width, `side` in pixels.

    DeVries and Taylor, Improved regularization with cutout, 2017.
    """
    height, width, _ = image.shape
    inside_rows = jnp.abs(jnp.arange(height) + 0.5 - centre[0] * height) < side / 2
    inside_columns = jnp.abs(jnp.arange(width) + 0.5 - centre[1] * width) < side / 2
    inside = inside_rows[:, None, None] & inside_columns[:, None]
    return jnp.where(inside, image.mean(), image)


def _scaled(change: Callable[[Image, Scalar], Image]) -> Any:
    def random(key: Key[Array, ''], image: Image, largest: float) -> Image:
        drawn = jax.random.uniform(key, minval=-largest, maxval=largest)
        return change(image, jnp.exp(drawn))

    return random


def _sometimes(share: float) -> Callable[[Any], Any]:
    """Let a random operation change this share of the images, and leave the others."""

    def wrap(change: Any) -> Any:
        def random(key: Key[Array, ''], image: Image, largest: float) -> Image:
            coin, key = jax.random.split(key)
            changed = change(key, image, largest)
            return jnp.where(jax.random.bernoulli(coin, share), changed, image)

        return random

    return wrap


@_sometimes(1 / 3)
def _blur(key: Key[Array, ''], image: Image, largest: float) -> Image:
    return filters.blur(image, jax.random.uniform(key, maxval=largest * image.shape[0]))


@_sometimes(1 / 2)
def _sharpness(key: Key[Array, ''], image: Image, largest: float) -> Image:
    return filters.sharpness(image, jax.random.uniform(key, minval=1 - largest, maxval=1 + largest))


@_sometimes(1 / 2)
def _noise(key: Key[Array, ''], image: Image, largest: float) -> Image:
    how_much, key = jax.random.split(key)
    return noise(key, image, jax.random.uniform(how_much, maxval=largest))


@_sometimes(1 / 2)
def _jpeg(key: Key[Array, ''], image: Image, largest: float) -> Image:
    return filters.jpeg(image, jax.random.randint(key, (), int(largest), 96))  # the lowest, here


@_sometimes(1 / 2)
def _cutout(key: Key[Array, ''], image: Image, largest: float) -> Image:
    where, key = jax.random.split(key)
    side = jax.random.uniform(key, maxval=largest * image.shape[0])
    return cutout(image, jax.random.uniform(where, (2,)), side)


RANDOM: dict[str, Callable[..., Image]] = {
    'brightness': _scaled(brightness),
    'contrast': _scaled(contrast),
    'gamma': _scaled(gamma),
    'blur': _blur,
    'sharpness': _sharpness,
    'noise': _noise,
    'jpeg': _jpeg,
    'cutout': _cutout,
}
