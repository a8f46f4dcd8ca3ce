"""Maps as figures: the image, the map, and the one over the other."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from pneumo_jax import canvas
from pneumo_jax.explain import COLOURS, overlay

COLUMNS = 4  # of the contact sheet


def panel(
    image: UInt8[np.ndarray, 'h w c'],
    heat: Float[np.ndarray, 'h w'],
    title: str,
    path: pathlib.Path,
) -> None:
    """A figure of one image, its map with a colour bar, and the overlay."""
    figure = canvas.figure(9.5, 3.6, title)
    grid = figure.subplots(1, 3)
    for axes, name in zip(grid, ('image', 'map', 'overlay'), strict=True):
        axes.set_title(name, fontsize=10)
        axes.axis('off')
    grid[0].imshow(image, cmap='gray', vmin=0, vmax=255)
    shown = grid[1].imshow(heat, cmap=COLOURS, vmin=0, vmax=1)
    grid[2].imshow(overlay(image, heat))
    figure.colorbar(shown, ax=grid.tolist(), shrink=0.85, label='share of the largest value')
    canvas.save(figure, path)


def sheet(
    images: UInt8[np.ndarray, 'n h w c'],
    heats: Float[np.ndarray, 'n h w'],
    titles: Sequence[str],
    title: str,
    path: pathlib.Path,
) -> None:
    """All overlays in one figure, each to the right of its image."""
    rows = -(-len(images) // (COLUMNS // 2))
    figure = canvas.figure(2.2 * COLUMNS, 2.5 * rows + 0.6, title)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis('off')
    pairs = grid.reshape(-1, 2)
    for (left, right), image, heat, name in zip(pairs, images, heats, titles, strict=False):
        left.imshow(image, cmap='gray', vmin=0, vmax=255)
        left.set_title(name, fontsize=8)
        right.imshow(overlay(image, heat))
    canvas.save(figure, path)
