"""Mixup and CutMix: images mixed with others of their batch, and their targets with them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from pneumo_jax.errors import UserError

Images = Float[Array, 'b h w c']
Targets = Float[Array, 'b k']
Weights = Float[Array, 'b h w']  # of an image's own pixels; its partner has the rest
Rows = Float[Array, 'b ...']
Mix = Callable[[Key[Array, ''], Images, Targets], tuple[Images, Targets]]
SMALLEST = 1e-3  # alpha with which one image of 200 is mixed by more than a hundredth


def create(*, mixup: float, cutmix: float) -> Mix | None:
    """`(key, images, targets) -> (images, targets)`; None where both are 0.

    The values are alpha of Beta(alpha, alpha), from which each image draws its own share. Where
    both are on, a batch goes through the one or the other, half the time each. An image's partner
    is the one before it: batches are shuffled, so that it is random already.

    Raises:
      UserError: for an alpha that is neither 0 nor at least SMALLEST.
    """
    for name, alpha in {'mixup': mixup, 'cutmix': cutmix}.items():
        if alpha and not alpha >= SMALLEST:
            raise UserError(f'{name}={alpha}: give {SMALLEST:g} or more; 0 switches it off.')

    if not (mixup or cutmix):
        return None

    def mix(key: Key[Array, ''], images: Images, targets: Targets) -> tuple[Images, Targets]:
        coin, *keys = jax.random.split(key, 3)
        own = jnp.ones(images.shape[:3])
        if mixup:
            own = blended(keys[0], mixup, images.shape[:3])
        if cutmix:
            boxes = boxed(keys[1], cutmix, images.shape[:3])
            own = jnp.where(jax.random.bernoulli(coin, 0.5 if mixup else 0.0), own, boxes)
        return _mean(images, own[..., None]), _mean(targets, own.mean((1, 2))[:, None])

    return mix


def blended(key: Key[Array, ''], alpha: float, shape: tuple[int, ...]) -> Weights:
    """The same weight for all pixels of an image (mixup: Zhang et al., 2018)."""
    share = jax.random.beta(key, alpha, alpha, shape[:1])
    return jnp.broadcast_to(share[:, None, None], shape)


def boxed(key: Key[Array, ''], alpha: float, shape: tuple[int, ...]) -> Weights:
    """0 in a box of every image, else 1 (CutMix: Yun et al., 2019)."""
    drawn, placed = jax.random.split(key)
    share = jax.random.beta(drawn, alpha, alpha, shape[:1])
    return outside(jax.random.uniform(placed, (2, shape[0])), share, shape[1:])


def outside(
    centre: Float[Array, '2 b'], share: Float[Array, ' b'], shape: tuple[int, ...]
) -> Weights:
    """0 in a box of `1 - share` of the area, shaped as the image and clipped at its border."""
    half = jnp.sqrt(1 - share)[:, None] / 2
    rows, columns = (
        abs((jnp.arange(length) + 0.5) / length - middle[:, None]) < half
        for length, middle in zip(shape, centre, strict=True)
    )
    return 1.0 - rows[:, :, None] * columns[:, None]


def _mean(x: Rows, own: Rows) -> Rows:
    """Of every row and the one before it, with these weights for its own."""
    return own * x + (1 - own) * jnp.roll(x, 1, axis=0)
