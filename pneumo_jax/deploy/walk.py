"""Which image files there are, in files and folders that a user names."""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pneumo_jax.data import dicom
from pneumo_jax.errors import UserError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.dcm', '.dicom')


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
    """The files among `paths`, and the images in the folders among them, each folder's by name.

    In folders a file counts by its suffix or, whatever its name is, by what it holds if that is
    DICOM. Hidden files and folders, __MACOSX and DICOMDIR are passed over, and links to folders
    are not followed.

    Raises:
        UserError: a path that is not there, or a folder without images.
    """
    found: dict[pathlib.Path, File] = {}
    for path in paths:
        if path.is_dir():
            images = [_file(each, named=False) for each in _images(path)]
            if not images:
                raise UserError(
                    f'{path}: no images in this folder. Read are {", ".join(SUFFIXES)}, '
                    'and DICOM under any name.'
                )
        elif path.is_file():
            images = [_file(path, named=True)]
        else:
            raise UserError(f'{path}: there is no such file or folder.')
        for image in images:
            found.setdefault(image.path, image)
    return list(found.values())


def _images(root: pathlib.Path) -> Iterator[pathlib.Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if _is_shown(name))
        for path in (pathlib.Path(folder, name) for name in sorted(names) if _is_shown(name)):
            if path.is_file() and (path.suffix.lower() in SUFFIXES or _holds_dicom(path)):
                yield path


def _is_shown(name: str) -> bool:
    return not name.startswith(('.', '__MACOSX')) and name != 'DICOMDIR'


def _holds_dicom(path: pathlib.Path) -> bool:
    try:
        with path.open('rb') as file:
            return dicom.is_dicom(file.read(132))
    except OSError:
        return False


def _file(path: pathlib.Path, *, named: bool) -> File:
    about = path.stat()
    return File(path, about.st_size, about.st_mtime_ns, named)
