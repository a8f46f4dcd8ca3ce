"""Image folders SPLIT/CLASS/*.jpeg, as the chest X-ray sets of Mendeley and Kaggle are shipped."""

import concurrent.futures
import os
import pathlib
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from pneumo_jax.data import image_files, images, splits
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError, printable

FOLDERS = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


class Picture(NamedTuple):
    """An image file that is not read yet."""

    file: pathlib.Path
    name: str  # its path in the folder
    label: int
    patient: str | None


def load(path: pathlib.Path, *, size: int, limit: int, val_fraction: float, seed: int) -> Dataset:
    """A data set from the folders train, test and, if there is one, val (valid, validation).

    The subfolders name the classes, in alphabetic order; images are what `image_files.below` finds
    in them. A missing val is cut from train, by patient where the file names tell patients. All
    images have three channels as soon as one is in colour, and else what is nearly gray is gray.
    `limit` > 0 chooses that many images of a split before any is decoded.

    Raises:
      UserError: for a missing split, classes that differ between splits, an image that cannot be
        read or shows nothing, or one that a link takes from outside of the folder.
    """
    if size < 1:
        raise UserError(f'data.size={size}: the images of a folder need a size, such as 64.')
    root = pathlib.Path(os.path.realpath(path))
    folders = _class_folders(root)
    pictures = {split: find(root, classes) for split, classes in folders.items()}
    if 'val' not in pictures:
        rest = pictures['train']
        held = splits.hold_out(labels(rest), groups(rest), val_fraction, seed)
        pictures['train'] = [rest[i] for i in np.flatnonzero(~held)]
        pictures['val'] = [rest[i] for i in np.flatnonzero(held)]
    chosen = [_first(pictures[split], limit) for split in SPLITS]
    decoded = _squares([picture for part in chosen for picture in part], size)
    ends = np.cumsum([len(part) for part in chosen])[:-1]
    train, val, test = (
        Split(pixels, labels(part), groups(part))
        for pixels, part in zip(np.split(decoded, ends), chosen, strict=True)
    )
    return Dataset(f'{root.name} {size} px', tuple(sorted(folders['train'])), train, val, test)


def _class_folders(root: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """The folders of a data set, by split and class."""
    found: dict[str, dict[str, pathlib.Path]] = {}
    for folder in subfolders(root):
        split = FOLDERS.get(folder.name.casefold())
        if split in found:
            raise UserError(f'{root}: has two folders for {split}. Keep one of them.')
        if split:
            found[split] = {sub.name: sub for sub in subfolders(folder)}
    missing = ' and no '.join(split for split in ('train', 'test') if split not in found)
    if missing:
        given = ', '.join(sub.name for sub in subfolders(root)) or 'no folder'
        raise UserError(f'{root}: has no {missing}, only {given}. Needed: SPLIT/CLASS/*.jpeg.')
    for split, classes in found.items():
        if classes.keys() != found['train'].keys():
            given, wanted = (', '.join(c) or 'none' for c in (classes, found['train']))
            raise UserError(f'{root}: the classes of {split} are {given}, of train {wanted}.')
    return found


def subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Those of a folder, by name."""
    return sorted(
        sub for sub in folder.iterdir() if image_files.is_shown(sub.name) and sub.is_dir()
    )


def find(root: pathlib.Path, classes: dict[str, pathlib.Path]) -> list[Picture]:
    """The images of every class; how many files are no images is said.

    Raises:
      UserError: for one that is no file, or outside of `root`.
    """
    found, others = list[Picture](), list[pathlib.Path]()
    for label, name in enumerate(sorted(classes)):
        for file in image_files.files(classes[name]):
            if not image_files.is_image(file):
                others.append(file)
                continue
            inside, of = _inside(root, file), file.relative_to(root).as_posix()
            found.append(Picture(inside, of, label, splits.patient_of(file.name)))
    if others:
        such = min(others).relative_to(root)
        told = f'{root}: no images and not used: {len(others)}, such as {such}'
        print(printable(told), file=sys.stderr)
    return found


def _inside(root: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise UserError(f'{file}: is no file. Put the image itself there, or take this away.')
    if not os.path.realpath(file).startswith(f'{root}{os.sep}'):
        raise UserError(f'{file}: is a link out of {root}. Put the image itself there.')
    return file


def _first(pictures: list[Picture], limit: int) -> list[Picture]:
    if not limit:
        return pictures
    return [pictures[i] for i in splits.first_of_each(labels(pictures), limit)]


def labels(pictures: list[Picture]) -> Int[np.ndarray, ' n']:
    """The class of every image."""
    return np.array([picture.label for picture in pictures], np.int32)


def groups(pictures: list[Picture]) -> np.ndarray | None:
    """Patients; an image of unknown patient stands alone. None where no name tells any."""
    if not any(picture.patient for picture in pictures):
        return None
    return np.array([picture.patient or picture.name for picture in pictures])


def decode(
    pictures: Iterable[Picture], one: Callable[[pathlib.Path], UInt8[np.ndarray, 'h w c']]
) -> list[UInt8[np.ndarray, 'h w c']]:
    """What `one` makes of every file, in the order given, by threads."""
    from tqdm import tqdm

    files = [picture.file for picture in pictures]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(one, files), desc='images', total=len(files), disable=None))


def _squares(pictures: list[Picture], size: int) -> UInt8[np.ndarray, 'n size size c']:
    def square(file: pathlib.Path) -> UInt8[np.ndarray, 'size size c']:
        image = images.decode(file)
        images.check_size(image, size, file)
        return images.square(image, size)

    done = decode(pictures, square)
    shape = (size, size, 3 if any(map(images.is_coloured, done)) else 1)
    same = [images.fitted(image, shape, of.file) for image, of in zip(done, pictures, strict=True)]
    return np.array(same, np.uint8).reshape(-1, *shape)
