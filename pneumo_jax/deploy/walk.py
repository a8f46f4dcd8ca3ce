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
    are not followed. A folder within that cannot be opened counts as a file, which cannot be read.

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
    images = [_file(each, named=False) for each in _images(path)]
    if not images:
        raise UserError(
            f'{path}: no images in this folder. Read are {", ".join(SUFFIXES)}, '
            'and DICOM under any name.'
        )
    return images


def _images(root: pathlib.Path) -> Iterator[pathlib.Path]:
    closed: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=closed.append):
        subfolders[:] = sorted(name for name in subfolders if _is_shown(name))
        for path in (pathlib.Path(folder, name) for name in sorted(names) if _is_shown(name)):
            if path.is_file() and (path.suffix.lower() in SUFFIXES or _holds_dicom(path)):
                yield path
    yield from (pathlib.Path(error.filename) for error in closed)


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
