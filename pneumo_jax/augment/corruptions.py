"""The 13 corruptions of PneumoniaMNIST-C, at severities 1 to 5.

Di Salvo et al., MedMNIST-C, 2024, as version 0.1 of its package has them. What is in pixels there,
of images of 224, is in pixels here at every size. The package corrupts gray images as RGB, each
channel with noise of its own, and turns them gray again: hence `_per_channel`. It also cuts off
fractions of a gray level, which are kept here.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from pneumo_jax.augment import filters, photometric

Image = Float[Array, 'h w c']
Square = Float[np.ndarray, 'n n']
Scalar = Float[Array, '']
Severity = Int[Array, ''] | int
Change = Callable[[Key[Array, ''], Image, Scalar], Image]  # by an amount
Corruption = Callable[[Key[Array, ''], Image, Severity], Image]

SEVERITIES = (1, 2, 3, 4, 5)
GRAY = np.array([299, 587, 114], np.float32) / 1000  # as Pillow has it (ITU-R 601-2)


def corrupted(images: UInt8[np.ndarray, 'n h w c'], seed: int) -> UInt8[np.ndarray, 'n h w c']:
    """Every image with a corruption and a severity that its index and `seed` alone decide."""
    key = jax.random.key(seed, impl='threefry2x32')  # the default may be another, by a flag
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(images)))
    draws, keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    many = len(CORRUPTIONS) * len(SEVERITIES)
    drawn = np.asarray(jax.vmap(lambda key: jax.random.randint(key, (), 0, many))(draws))
    kinds, severities = drawn // len(SEVERITIES), 1 + drawn % len(SEVERITIES)
    result, names = np.empty_like(images), list(CORRUPTIONS)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        change = jax.jit(jax.vmap(CORRUPTIONS[names[kind]]))
        changed = change(keys[rows], images[rows] / np.float32(255), severities[rows])
        result[rows] = np.rint(255 * changed)
    return result


def _pixelated(n: int, share: float) -> Square:
    """Pillow's box filter, to this share of the pixels and back; a tie falls either way."""
    small = max(1, int(n * share))
    place = (2 * np.arange(n) + 1) * small
    cells = np.eye(small, dtype=np.float32)
    down, up = cells[-(-place // (2 * n)) - 1].T, cells[place // (2 * n)]
    return up @ (down / down.sum(1, keepdims=True))


def _blurred(n: int, size: int) -> Square:
    """A Gaussian of `size` taps; the image goes on as in a mirror."""
    away = (np.arange(size) - size // 2) / (0.15 * size + 0.35)  # torchvision's choice
    weights = np.exp(-0.5 * away**2)
    mirrored = np.pad(np.eye(n), ((size // 2, size // 2), (0, 0)), 'reflect')
    taps = [weight * mirrored[i : i + n] for i, weight in enumerate(weights / weights.sum())]
    return np.stack(taps).sum(0).astype(np.float32)


def _linear(
    square: Callable[..., Square], amounts: Sequence[float]
) -> tuple[Change, Sequence[int]]:
    """The linear map of columns and rows that `square` has for each of the amounts."""

    def change(key: Key[Array, ''], image: Image, which: Scalar) -> Image:
        rows, columns = (
            jnp.stack([square(n, amount) for amount in amounts])[which] for n in image.shape[:2]
        )
        return filters.along(rows, image, columns)

    return change, range(len(amounts))


def _impulse(key: Key[Array, ''], image: Image, share: Scalar) -> Image:
    struck, white = jax.random.split(key)
    dots = jax.random.bernoulli(white, 0.5, image.shape).astype(image.dtype)
    return jnp.where(jax.random.bernoulli(struck, share, image.shape), dots, image)


def _speckle(key: Key[Array, ''], image: Image, sd: Scalar) -> Image:
    return image * photometric.noise(key, jnp.ones_like(image), sd)


def _shot(key: Key[Array, ''], image: Image, photons: Scalar) -> Image:
    return jax.random.poisson(key, image * photons) / photons


def _per_channel(noise: Change) -> Change:
    def noisy(key: Key[Array, ''], image: Image, amount: Scalar) -> Image:
        if image.shape[-1] == 3:
            return noise(key, image, amount)
        colour = noise(key, jnp.repeat(image, 3, axis=-1), amount)
        return (jnp.clip(colour, 0, 1) * GRAY).sum(-1, keepdims=True)

    return noisy


def _keyless(change: Callable[..., Image]) -> Change:
    return lambda key, image, amount: change(image, amount)


_BRIGHTNESS, _CONTRAST = _keyless(photometric.brightness), _keyless(photometric.contrast)
_GAMMA = _keyless(photometric.gamma)
# The function, and its amount at severity 1, 2, 3, 4 and 5.
AMOUNTS: dict[str, tuple[Change, Sequence[float]]] = {
    'pixelate': _linear(_pixelated, (0.8, 0.7, 0.6, 0.5, 0.4)),
    'jpeg_compression': (_keyless(filters.jpeg), (50, 30, 15, 10, 7)),
    'gaussian_noise': (_per_channel(photometric.noise), (0.04, 0.05, 0.06, 0.07, 0.08)),
    'speckle_noise': (_per_channel(_speckle), (0.05, 0.07, 0.1, 0.15, 0.2)),
    'impulse_noise': (_per_channel(_impulse), (0.005, 0.01, 0.013, 0.017, 0.02)),
    'shot_noise': (_per_channel(_shot), (300, 200, 150, 100, 80)),
    'gaussian_blur': _linear(_blurred, (3, 5, 7, 9, 11)),
    'brightness_up': (_BRIGHTNESS, (1.1, 1.2, 1.3, 1.4, 1.5)),
    'brightness_down': (_BRIGHTNESS, (0.9, 0.8, 0.7, 0.6, 0.5)),
    'contrast_up': (_CONTRAST, (1.1, 1.2, 1.3, 1.4, 1.6)),
    'contrast_down': (_CONTRAST, (0.9, 0.8, 0.7, 0.6, 0.4)),
    'gamma_corr_up': (_GAMMA, (1.1, 1.2, 1.3, 1.4, 1.6)),
    'gamma_corr_down': (_GAMMA, (0.9, 0.8, 0.7, 0.6, 0.4)),
}


def _corruption(name: str) -> Corruption:
    change, amounts = AMOUNTS[name]

    def corruption(key: Key[Array, ''], image: Image, severity: Severity) -> Image:
        return jnp.clip(change(key, image, jnp.array(amounts)[severity - 1]), 0, 1)

    return corruption


CORRUPTIONS: dict[str, Corruption] = {name: _corruption(name) for name in AMOUNTS}
