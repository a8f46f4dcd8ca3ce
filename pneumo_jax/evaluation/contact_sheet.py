"""Augmented images beside their originals, so that a radiologist can say what they still are."""

import pathlib

import numpy as np
from jaxtyping import Float, UInt8

from pneumo_jax import canvas


def draw(
    images: UInt8[np.ndarray, 'n h w c'],
    variants: Float[np.ndarray, 'n m h w c'],
    title: str,
    out: pathlib.Path,
) -> None:
    """A row per image: itself, and its `m` variants, whose values are in 0..1."""
    rows, columns = variants.shape[:2]
    figure = canvas.figure(1.4 * (columns + 1), 1.45 * rows, title)
    grid = figure.subplots(rows, columns + 1, squeeze=False)
    for row, image, changed in zip(grid, images / 255, variants, strict=True):
        for axes, shown in zip(row, [image, *changed], strict=True):
            axes.imshow(shown, cmap='gray', vmin=0, vmax=1)
            axes.axis('off')
    grid[0, 0].set_title('original', fontsize=10)
    grid[0, 1].set_title('augmented', fontsize=10)
    canvas.save(figure, out)
