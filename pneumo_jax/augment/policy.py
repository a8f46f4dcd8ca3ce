"""RandAugment and TrivialAugment, over what a gray radiograph survives.

The ranges are those of RandAugment, which TrivialAugment's paper calls RA, and for what neither
has (gamma, blur, noise) those at which lungs can still be read. Left out: posterise, solarise,
equalise and invert, which turn the gray values that are the findings into others.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from pneumo_jax.augment import filters, geometry, photometric
from pneumo_jax.errors import unknown

Image = Float[Array, 'h w c']
Level = Float[Array, '']  # from -1 to 1
Operation = Callable[[Key[Array, ''], Image, Level], Image]


def create(name: str) -> Callable[[Key[Array, ''], Image], Image]:
    """`(key, image) -> image` for the policy `name`; a UserError where there is none."""
    if name not in POLICIES:
        raise unknown('augment.policy', name, POLICIES)
    return POLICIES[name]


def randaugment(key: Key[Array, ''], image: Image) -> Image:
    """Two operations, with repetition, at magnitude 9 of 30 (Cubuk et al., 2020)."""
    for own in jax.random.split(key):
        image = _apply(own, image, 9 / 30)
    return image


def trivialaugment(key: Key[Array, ''], image: Image) -> Image:
    """One operation at a magnitude of 0 to 30 of 30 (Mueller and Hutter, 2021)."""
    drawn, key = jax.random.split(key)
    return _apply(key, image, jax.random.randint(drawn, (), 0, 31) / 30)


POLICIES = {'randaugment': randaugment, 'trivialaugment': trivialaugment}


def _apply(key: Key[Array, ''], image: Image, magnitude: Float[Array, ''] | float) -> Image:
    which, sign, key = jax.random.split(key, 3)
    level = magnitude * jax.random.rademacher(sign, dtype=jnp.float32)
    return apply(jax.random.randint(which, (), 0, len(OPERATIONS)), key, image, level)


def apply(which: Int[Array, ''], key: Key[Array, ''], image: Image, level: Level) -> Image:
    """The operation of that number, clipped to [0, 1].

    An image goes through all of them and one is kept: what `lax.switch` comes to under vmap, where
    every image has a choice of its own. It is cheap beside the network.
    """
    changed = [operation(key, image, level) for operation in OPERATIONS.values()]
    # Each on its own: fused into one loop they take 30 ms, against 11 (64 px, batch 128, 2 cores).
    chosen = lax.select_n(which, *lax.optimization_barrier(changed))
    return lax.optimization_barrier(jnp.clip(chosen, 0, 1))


def _affine(image: Image, *, x: Level | float = 0.0, y: Level | float = 0.0, **how: Level) -> Image:
    return geometry.sample(image, geometry.linear(**how), jnp.stack([jnp.asarray(y), x]))


OPERATIONS: dict[str, Operation] = {
    'identity': lambda key, image, level: image,
    'rotate': lambda key, image, level: _affine(image, degrees=30 * level),
    'shear': lambda key, image, level: _affine(image, slant=16.7 * level),  # tan = 0.3
    'translate_x': lambda key, image, level: _affine(image, x=0.45 * level),
    'translate_y': lambda key, image, level: _affine(image, y=0.45 * level),
    'brightness': lambda key, image, level: photometric.brightness(image, 1 + 0.9 * level),
    'contrast': lambda key, image, level: photometric.contrast(image, 1 + 0.9 * level),
    'sharpness': lambda key, image, level: filters.sharpness(image, 1 + 0.9 * level),
    'gamma': lambda key, image, level: photometric.gamma(image, jnp.exp(0.5 * level)),
    'blur': lambda key, image, level: filters.blur(image, 0.03 * len(image) * jnp.abs(level)),
    'noise': lambda key, image, level: photometric.noise(key, image, 0.1 * jnp.abs(level)),
}
