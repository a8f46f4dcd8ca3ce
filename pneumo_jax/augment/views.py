"""Views of an image whose probabilities are averaged when it is scored (test-time augmentation).

Mirror images and crops, as Krizhevsky et al. 2012 averaged them.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.image import resize  # under this name jax2onnx leaves it as it is
from jaxtyping import Array, Float

from pneumo_jax import errors

KEPT = 7 / 8  # of the side, by a crop
Views = Callable[[Float[Array, 'b h w c']], Float[Array, 'v b h w c']]


def create(name: str) -> Views | None:
    """The views of images between 0 and 1: None for '', 2 for 'flip', 12 for 'flip_crop'.

    Raises UserError for another name.
    """
    known: dict[str, Views | None] = {'': None, 'flip': mirrored, 'flip_crop': cropped}
    if name not in known:
        raise errors.unknown('views', name, known)
    return known[name]


def mirrored(images: Float[Array, 'b h w c']) -> Float[Array, 'v b h w c']:
    """The images, and left and right changed."""
    return jnp.stack([images, images[:, :, ::-1]])


def cropped(images: Float[Array, 'b h w c']) -> Float[Array, 'v b h w c']:
    """The images, their four corners and centre at the same size, and all of them mirrored."""
    height, width = images.shape[1:3]
    tall, wide = round(height * KEPT), round(width * KEPT)
    low, right = height - tall, width - wide
    starts = [(0, 0), (0, right), (low, 0), (low, right), (low // 2, right // 2)]
    crops = [
        resize(images[:, y : y + tall, x : x + wide], images.shape, 'linear') for y, x in starts
    ]
    return jnp.concatenate([mirrored(view) for view in [images, *crops]])
