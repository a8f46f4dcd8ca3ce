"""One split of other data than a run was trained on: with labels, to be scored."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from pneumo_jax.data import arrays, folder, images
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.folder import FOLDERS
from pneumo_jax.errors import UserError


def load(
    path: pathlib.Path, split: str, shape: tuple[int, int, int], classes: tuple[str, ...]
) -> tuple[Split, Int[np.ndarray, ' n']]:
    """The images and labels of `split` in an npz file, or in a folder [SPLIT/]CLASS/*.jpeg.

    No other split need be there. Images become those of a model of `shape` (`images.fitted`). Names
    of classes, where the data have them, are looked up among `classes`: the same, or the only one
    that differs in the case of letters. Beside the split are the labels that the data give, by
    which a table beside the data goes.

    Raises:
      UserError: where there are no such data, an image is none for the model, a class is none of
        `classes`, or there are images of one class alone.
    """
    try:
        if path.is_dir():
            found, names = _folder(path, split, shape)
        else:
            found, names = _file(path, split, shape)
    except OSError as error:
        raise UserError(f'the data cannot be read: {error}') from error
    given, most = found.labels, len(names or classes)
    if given.max(initial=0) >= most:
        raise UserError(f'{path}: has labels to {given.max()}, of {most} classes.')
    if names:
        places = [_place(name, classes) for name in names]
        if None in places:
            theirs, ours = ', '.join(names), ', '.join(classes)
            raise UserError(f'{path}: the classes are {theirs}; those of the run are {ours}.')
        found = dataclasses.replace(found, labels=np.array(places, given.dtype)[given])
    present = np.unique(found.labels)
    if len(present) < 2:
        only = classes[present[0]]
        raise UserError(f'{path}: {split} has images of {only!r} alone; scores need two classes.')
    return found, given


def _place(name: str, classes: Sequence[str]) -> int | None:
    """The number of the class of that name, or of the only one that differs in case alone."""
    alike = [i for i, own in enumerate(classes) if own.casefold() == name.casefold()]
    exact = [i for i in alike if classes[i] == name]
    return (exact or alike)[0] if len(exact or alike) == 1 else None


def _file(
    path: pathlib.Path, split: str, shape: tuple[int, int, int]
) -> tuple[Split, tuple[str, ...]]:
    found, names = arrays.read(path, split)
    return arrays.fitted(path, split, found[split], shape), names


def _folder(
    path: pathlib.Path, split: str, shape: tuple[int, int, int]
) -> tuple[Split, tuple[str, ...]]:
    root = pathlib.Path(os.path.realpath(path))
    inside = [sub for sub in folder.subfolders(root) if FOLDERS.get(sub.name.casefold()) == split]
    classes = {sub.name: sub for sub in folder.subfolders(inside[0] if inside else root)}
    pictures = folder.find(root, classes)
    if not pictures:
        raise UserError(f'{path}: has no images in CLASS or {split}/CLASS.')
    pixels = np.stack(folder.decode(pictures, lambda file: images.read(file, shape)))
    return Split(pixels, folder.labels(pictures), folder.groups(pictures)), tuple(sorted(classes))
