"""Image folders SPLIT/CLASS/*.jpeg, as the chest X-ray sets of Mendeley and Kaggle are shipped."""

import concurrent.futures
import functools
import os
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from pneumo_jax.data import images, splits
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

SUFFIXES = ('.jpeg', '.jpg', '.png')
FOLDERS = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


class Picture(NamedTuple):
    """An image file that is not read yet."""

    file: pathlib.Path
    label: int
    patient: str | None


def load(path: pathlib.Path, *, size: int, limit: int, val_fraction: float, seed: int) -> Dataset:
    """A data set from the folders train, test and, if there is one, val (valid, validation).

    The subfolders name the classes, in alphabetic order. A missing val is cut from train, by
    patient where the file names tell patients. Hidden files, __MACOSX and files of other kinds are
    passed over. All images have three channels as soon as one of them shows colour. `limit` > 0
    chooses that many images of a split before any is decoded.

    Raises:
      UserError: for a missing split, classes that differ between splits, an image that cannot be
        read, or one that a link takes from outside of the folder.
    """
    if size < 1:
        raise UserError(f'data.size={size}: the images of a folder need a size, such as 64.')
    root = pathlib.Path(os.path.realpath(path))
    folders = _class_folders(root)
    pictures = {split: _pictures(root, classes) for split, classes in folders.items()}
    if 'val' not in pictures:
        rest = pictures['train']
        held = splits.hold_out(_labels(rest), _groups(rest), val_fraction, seed)
        pictures['train'] = [rest[i] for i in np.flatnonzero(~held)]
        pictures['val'] = [rest[i] for i in np.flatnonzero(held)]
    chosen = [_first(pictures[split], limit) for split in SPLITS]
    decoded = _decode([picture.file for part in chosen for picture in part], size)
    ends = np.cumsum([len(part) for part in chosen])[:-1]
    train, val, test = (
        Split(pixels, _labels(part), _groups(part))
        for pixels, part in zip(np.split(decoded, ends), chosen, strict=True)
    )
    return Dataset(f'{root.name} {size} px', tuple(sorted(folders['train'])), train, val, test)


def _class_folders(root: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """The folders of a data set, by split and class."""
    found: dict[str, dict[str, pathlib.Path]] = {}
    for folder in _subfolders(root):
        split = FOLDERS.get(folder.name.casefold())
        if split in found:
            raise UserError(f'{root}: has two folders for {split}. Keep one of them.')
        if split:
            found[split] = {sub.name: sub for sub in _subfolders(folder)}
    missing = ' and no '.join(split for split in ('train', 'test') if split not in found)
    if missing:
        given = ', '.join(sub.name for sub in _subfolders(root)) or 'no folder'
        raise UserError(f'{root}: has no {missing}, only {given}. Needed: SPLIT/CLASS/*.jpeg.')
    for split, classes in found.items():
        if classes.keys() != found['train'].keys():
            given, wanted = (', '.join(c) or 'none' for c in (classes, found['train']))
            raise UserError(f'{root}: the classes of {split} are {given}, of train {wanted}.')
    return found


def _subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    shown = (sub for sub in folder.iterdir() if not sub.name.startswith(('.', '__MACOSX')))
    return sorted(sub for sub in shown if sub.is_dir())


def _pictures(root: pathlib.Path, classes: dict[str, pathlib.Path]) -> list[Picture]:
    return [
        Picture(_inside(root, file), label, splits.patient_of(file.name))
        for label, name in enumerate(sorted(classes))
        for file in sorted(classes[name].iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith('.')
    ]


def _inside(root: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise UserError(f'{file}: is no file. Put the image itself there, or take this away.')
    if not os.path.realpath(file).startswith(f'{root}{os.sep}'):
        raise UserError(f'{file}: is a link out of {root}. Put the image itself there.')
    return file


def _first(pictures: list[Picture], limit: int) -> list[Picture]:
    if not limit:
        return pictures
    return [pictures[i] for i in splits.first_of_each(_labels(pictures), limit)]


def _labels(pictures: list[Picture]) -> Int[np.ndarray, ' n']:
    return np.array([picture.label for picture in pictures], np.int32)


def _groups(pictures: list[Picture]) -> np.ndarray | None:
    """Patients; an image of unknown patient stands alone. None where no name tells any."""
    if not any(picture.patient for picture in pictures):
        return None
    return np.array([picture.patient or '/'.join(picture.file.parts[-3:]) for picture in pictures])


def _decode(files: list[pathlib.Path], size: int) -> UInt8[np.ndarray, 'n size size c']:
    """Every image, cropped and resized, in the order given."""
    from tqdm import tqdm

    with concurrent.futures.ThreadPoolExecutor() as pool:
        tasks = pool.map(functools.partial(_square, size=size), files)
        done = list(tqdm(tasks, desc='images', total=len(files), disable=None))
    channels = max((image.shape[-1] for image in done), default=1)
    shape = (size, size, channels)
    return np.array([np.broadcast_to(image, shape) for image in done], np.uint8)


def _square(file: pathlib.Path, size: int) -> UInt8[np.ndarray, 'size size c']:
    return images.square(images.decode(file), size)
