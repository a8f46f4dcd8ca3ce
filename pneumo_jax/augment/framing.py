"""Images framed otherwise: what a val split lacks whose images are all framed as those of train."""

import jax
import numpy as np
from jaxtyping import UInt8

from pneumo_jax import augment
from pneumo_jax.fields import CROPS, defaults

AREA = 0.5  # the least share of the area that a crop keeps


def reframed(images: UInt8[np.ndarray, 'n h w c']) -> UInt8[np.ndarray, 'm h w c']:
    """A crop of every image, of any place and AREA to all of its area, at the size of the image.

    CROPS times, one after the other: m = CROPS * n. An image's crops depend on its index alone.
    """
    crop = augment.create(**{**defaults('cnn').augment, 'crop': AREA})
    assert crop
    program, unit = jax.jit(crop), images / np.float32(255)
    keys = (jax.random.key(seed, impl='threefry2x32') for seed in range(CROPS))  # whatever the flag
    return np.concatenate([np.rint(255 * program(key, unit)).astype(np.uint8) for key in keys])
