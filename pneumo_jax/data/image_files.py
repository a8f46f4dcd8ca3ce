"""Which files in a folder are images."""

import os
import pathlib
from collections.abc import Iterator

from pneumo_jax.data import dicom

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.dcm', '.dicom')


def below(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Every image among the `files` of a folder."""
    return filter(is_image, files(root))


def files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Every file in a folder and the folders in it, each folder's by name.

    Hidden files and folders, __MACOSX and DICOMDIR are passed over, and links to folders are not
    followed. A folder within that cannot be opened counts as an image, which cannot be read.
    """
    closed: list[OSError] = []
    for folder, subfolders, names in os.walk(root, onerror=closed.append):
        subfolders[:] = sorted(filter(is_shown, subfolders))
        yield from (pathlib.Path(folder, name) for name in sorted(filter(is_shown, names)))
    yield from (pathlib.Path(error.filename) for error in closed)


def is_image(path: pathlib.Path) -> bool:
    """By its suffix or, whatever its name is, by what it holds if that is DICOM."""
    return path.suffix.lower() in SUFFIXES or _is_dicom(path)


def is_shown(name: str) -> bool:
    """Whether a file or folder of this name is for people, and not a system's own."""
    return not name.startswith(('.', '__MACOSX')) and name != 'DICOMDIR'


def _is_dicom(path: pathlib.Path) -> bool:
    if path.exists() and not path.is_file():
        return path.is_dir()  # one that cannot be opened; a pipe would be waited for
    try:
        with path.open('rb') as file:
            return dicom.is_dicom(file.read(132))
    except OSError:
        return False
