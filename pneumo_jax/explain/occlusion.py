"""What is lost when a part of the image is covered."""

import functools

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pneumo_jax.explain import programs
from pneumo_jax.trained import Member

WINDOWS = 7  # side by side in a row, each overlapping half of the next one


def occlusion(
    member: Member, images: UInt8[np.ndarray, 'n h w c'], targets: Int[np.ndarray, ' n']
) -> Float[np.ndarray, 'n h w']:
    """The mean fall of the target's log-odds over the windows that cover a pixel.

    Covered pixels get the image's mean gray (Zeiler & Fergus 2014, arXiv:1311.2901).
    """
    covers = windows(*images.shape[1:3])
    unit = member.preprocess.unit(images)
    gray = unit.mean((1, 2), keepdims=True)

    def without(index: Int[np.ndarray, ' b'], cover: Int[np.ndarray, ' b']) -> np.ndarray:
        seen = np.where(covers[cover][..., None], gray[index], unit[index])
        return programs.scores(member, seen, targets[index])

    whole = programs.in_batches(member, functools.partial(programs.scores, member), unit, targets)
    pairs = np.indices((len(images), len(covers))).reshape(2, -1)
    covered = programs.in_batches(member, without, *pairs).reshape(len(images), -1)
    falls = whole[:, None] - covered
    return np.einsum('nm,mhw->nhw', falls, covers) / covers.sum(0)


def windows(height: int, width: int) -> Bool[np.ndarray, 'm h w']:
    """Squares of a `WINDOWS`th of the image, half a side apart, that cover every pixel."""

    def spans(length: int) -> Bool[np.ndarray, 'm length']:
        side = max(1, -(-length // WINDOWS))
        first = np.arange(0, max(1, length - side // 2), max(1, side // 2))
        first = np.unique(np.minimum(first, length - side))
        place = np.arange(length)
        return (place >= first[:, None]) & (place < first[:, None] + side)

    rows, columns = spans(height), spans(width)
    return (rows[:, None, :, None] & columns[None, :, None, :]).reshape(-1, height, width)
