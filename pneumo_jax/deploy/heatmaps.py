"""An overlay of what speaks for the predicted class, beside the predictions."""

import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from pneumo_jax import errors, files
from pneumo_jax.deploy.walk import File
from pneumo_jax.trained import Trained

SMALLEST = 224  # pixels of a picture's side: a smaller image is drawn larger


def check(folder: pathlib.Path, paths: Sequence[pathlib.Path]) -> None:
    """Refuse (`UserError`) a folder whose maps the next run would take for images."""
    for path in paths:
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise errors.UserError(
                f'--heatmaps {folder}: lies in {path}, where its maps would be taken for images; '
                'give a folder elsewhere.'
            )


class Painter(NamedTuple):
    """Draws to FOLDER/PATH-OF-THE-FILE.png."""

    trained: Trained
    folder: pathlib.Path

    def place(self, file: File) -> pathlib.Path:
        """Where the map of a file lies: never outside of the folder."""
        names = {file.path.anchor: '_root', '..': '_up'}
        parts = [names.get(part, part) for part in file.path.parts]
        return self.folder.joinpath(*parts[:-1], f'{files.short(parts[-1])}.png')

    def has(self, file: File) -> bool:
        """Whether the map of a file is drawn already."""
        return self.place(file).exists()

    def paint(
        self,
        sources: Sequence[File],
        images: UInt8[np.ndarray, 'n h w c'],
        targets: Sequence[str],
    ) -> None:
        """Draw the members' mean map for the class in `targets` over every image."""
        from pneumo_jax import explain
        from pneumo_jax.explain import run

        method = run.methods(self.trained)[0]
        classes = np.array([self.trained.classes.index(name) for name in targets], np.int32)
        heat = run.maps(self.trained, images, classes, method)
        for file, image, own in zip(sources, images, heat, strict=True):
            _write(self.place(file), explain.overlay(image, own))


def _write(path: pathlib.Path, picture: UInt8[np.ndarray, 'h w 3']) -> None:
    from PIL import Image

    times, content = -(-SMALLEST // len(picture)), io.BytesIO()
    Image.fromarray(picture.repeat(times, 0).repeat(times, 1)).save(content, 'PNG')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, content.getvalue())
    except OSError as error:
        raise errors.UserError(f'{path} cannot be written: {error.strerror}.') from error
