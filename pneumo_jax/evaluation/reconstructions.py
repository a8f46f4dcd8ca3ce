"""What a masked auto-encoder makes of images of which it sees a part."""

import pathlib

import numpy as np
from jaxtyping import Float

from pneumo_jax import canvas

ROWS = ('original', 'seen', 'guessed')


def draw(shown: Float[np.ndarray, 'n 3 h w c'], title: str, out: pathlib.Path) -> None:
    """A column per image, in 0..1: itself, the part that is seen, and the whole as guessed."""
    figure = canvas.figure(1.3 * len(shown), 4.4, title)
    grid = figure.subplots(len(ROWS), len(shown), squeeze=False)
    for column, images in zip(grid.T, shown, strict=True):
        for axes, image in zip(column, images, strict=True):
            axes.imshow(image, cmap='gray', vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
    for axes, name in zip(grid[:, 0], ROWS, strict=True):
        axes.set_ylabel(name, fontsize=10)
    canvas.save(figure, out)
