"""Which image files there are, in files and folders that a user names."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from pneumo_jax.data import image_files
from pneumo_jax.errors import UserError


class File(NamedTuple):
    """An image file as it was found: a file with another size or time is another file."""

    path: pathlib.Path
    bytes: int
    modified: int  # nanoseconds
    named: bool  # by the user, and not found in a folder

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from other files, and from what it was before a change."""
        return str(self.path), self.bytes, self.modified


def find(paths: Sequence[pathlib.Path]) -> list[File]:
    """The files among `paths`, and the images in the folders among them (`image_files.below`).

    Raises:
        UserError: a path that is not there or cannot be looked at, or a folder without images.
    """
    found: dict[pathlib.Path, File] = {}
    for path in paths:
        try:
            images = _found(path)
        except OSError as error:
            raise UserError(f'{path} cannot be read: {error.strerror}.') from error
        for image in images:
            found.setdefault(image.path, image)
    return list(found.values())


def _found(path: pathlib.Path) -> list[File]:
    if path.is_file():
        return [_file(path, named=True)]
    if not path.is_dir():
        raise UserError(f'{path}: there is no such file or folder.')
    there = (each for each in image_files.below(path) if each.is_file() or each.is_dir())
    images = [_file(each, named=False) for each in there]
    if not images:
        raise UserError(
            f'{path}: no images in this folder. Read are {", ".join(image_files.SUFFIXES)}, '
            'and DICOM under any name.'
        )
    return images


def _file(path: pathlib.Path, *, named: bool) -> File:
    about = path.stat()
    return File(path, about.st_size, about.st_mtime_ns, named)
