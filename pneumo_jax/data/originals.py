"""Training images in more detail than the net is fed: what random crops are cut from."""

import dataclasses
import hashlib
import os
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pneumo_jax import data, files
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.errors import UserError

# Mean gray levels between an image and its original, shrunk. Of radiographs they are .5 to 8, by
# the filter that made the image, and 11 to 60 to another radiograph.
FAR, ALIKE = 16, 10
CHUNK = 256  # images that are compared at once


def load(source: str, dataset: Dataset, /, **how: Any) -> Split:
    """The training split of `dataset` with larger images: those of an npz file, or of a size.

    They must be the same images in the same order, larger by a whole number along both sides. A
    size, such as '128', means the same MedMNIST set in that size. `how` is what `dataset` was
    loaded by, so that they are limited, and cut into train and val, as it was.

    Raises:
      UserError: for a file that cannot be read, or whose images are others.
    """
    if source.isdecimal() and len(source) < 5:
        if how.get('path') or how['name'] == 'synthetic':
            raise UserError(
                f'originals={source} is a size of a MedMNIST set, which {dataset.title} is not: '
                'name an npz file of the same images, larger (--config.originals=FILE.npz), or '
                'train without (--config.originals=).'
            )
        how |= {'size': int(source)}
    elif not os.path.isfile(files.expanded(source)):  # noqa: PTH113  is_file() raises
        raise UserError(f'originals={source}: is no file: name an npz of the same images, larger.')
    else:
        how |= {'path': source, 'size': 0}
    try:
        large = data.load(**how).train
    except UserError as error:
        raise UserError(f'originals={source}: {error}') from error
    problem = _problem(large, dataset.train, dataset.title)
    if problem:
        raise UserError(f'originals={source}: its training {problem}.')
    return dataclasses.replace(dataset.train, images=large.images)


def _problem(large: Split, small: Split, title: str) -> str:
    """Why the one has not the images of the other in more detail, or nothing."""
    if not np.array_equal(large.labels, small.labels):
        return f'labels are not those of {title}'
    factor = times(large.images, small.images)
    if not factor:
        return (
            f'images are {large.images.shape[1:]}, those of {title} {small.images.shape[1:]}: both '
            'sides must be 2, 3 or more times as long, and the channels as many'
        )
    gaps = _gaps(large.images, small.images, factor)
    usual = float(np.median(gaps))
    others = np.flatnonzero(gaps > max(ALIKE, 3 * usual))
    if usual > FAR or len(others):
        return (
            f'images, shrunk, are {usual:.1f} gray levels from those of {title} in the median, and '
            f'{len(others)} of them far more: they are others, or in another order'
        )
    return ''


def _gaps(
    large: UInt8[np.ndarray, 'n H W c'], small: UInt8[np.ndarray, 'n h w c'], factor: int
) -> Float[np.ndarray, ' n']:
    """Mean gray levels between every image and its original, shrunk."""
    parts = (slice(start, start + CHUNK) for start in range(0, len(small), CHUNK))
    gaps = [np.abs(shrunk(large[part], factor) - small[part]).mean((1, 2, 3)) for part in parts]
    return np.concatenate(gaps)


def times(large: Any, small: Any) -> int:
    """By which whole number `large` [n, H, W, c] exceeds `small` [n, h, w, c]; 0: by none."""
    (h, w, c), (height, width, channels) = small.shape[1:], large.shape[1:]
    factor = height // h
    return factor if factor > 1 and (height, width, channels) == (factor * h, factor * w, c) else 0


def shrunk(images: UInt8[np.ndarray, 'n H W c'], factor: int) -> Float[np.ndarray, 'n h w c']:
    """Every pixel the mean of `factor` x `factor`."""
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // factor, factor, width // factor, factor, channels)
    return blocks.mean((2, 4))


def digest(images: UInt8[np.ndarray, 'n H W c']) -> str:
    """SHA-256 of the images."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
