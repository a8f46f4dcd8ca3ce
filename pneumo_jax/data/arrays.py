"""Data sets in one npz file with the keys of MedMNIST, official or not."""

import math
import pathlib
import zipfile

import numpy as np
from jaxtyping import Int, UInt8

from pneumo_jax.data import images, splits
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

MOST = 10**6  # a label
LARGEST = 32 * 2**30  # bytes, expanded; the largest official set, PathMNIST at 224 px, has 16 GB
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load(path: pathlib.Path, *, size: int, val_fraction: float, seed: int) -> Dataset:
    """A data set from SPLIT_images and SPLIT_labels; val is cut from train where it is absent.

    `classes` (strings) names the classes, which else are '0', '1' and so on; `SPLIT_groups` tells
    the patient of every image, and the cut keeps patients together. Images of another size are
    cropped and resized to `size`; 0 keeps the size of the file.

    Raises:
      UserError: for a file that is missing, damaged, too large, or not of this form.
    """
    found, names = read(path)
    if 'val' not in found:
        train = found['train']
        held = splits.hold_out(train.labels, train.groups, val_fraction, seed)
        found |= {'train': splits.take(train, ~held), 'val': splits.take(train, held)}
    if size:
        shape = (size, size, found['train'].images.shape[-1])
        found = {split: fitted(path, split, part, shape) for split, part in found.items()}
    train, val, test = (found[split] for split in SPLITS)
    height, width = train.images.shape[1:3]
    classes = names or tuple(str(c) for c in range(max(s.labels.max() for s in found.values()) + 1))
    pixels = str(height) if height == width else f'{height} x {width}'
    return Dataset(f'{path.name} {pixels} px', classes, train, val, test)


def read(path: pathlib.Path, only: str = '') -> tuple[dict[str, Split], tuple[str, ...]]:
    """The splits in the file, or the `only` one, and the class names if it has any.

    Raises UserError where the file is missing, damaged, too large, or not of this form.
    """
    arrays = _arrays(path)
    with_val = any(key.startswith('val_') for key in arrays)
    usual = [split for split in SPLITS if split != 'val' or with_val]
    wanted = [only] if only else usual
    keys = [f'{split}_{part}' for split in wanted for part in ('images', 'labels')]
    missing = ', '.join(key for key in keys if key not in arrays)
    if missing:
        raise UserError(f'{path}: has no {missing}; it has {", ".join(arrays) or "nothing"}.')
    found = {split: _split(path, arrays, split) for split in wanted}
    shapes = {split: part.images.shape[1:] for split, part in found.items()}
    if len(set(shapes.values())) > 1:
        listed = ', '.join(f'{split} {shape}' for split, shape in shapes.items())
        raise UserError(f'{path}: the images of the splits differ in shape: {listed}.')
    return found, _class_names(path, arrays)


def _arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Every array of the file, read only where the headers say that they fit."""
    if not path.is_file():
        raise UserError(f'{path}: there is no such file or folder.')
    try:
        expanded = _expanded_bytes(path)
        if expanded <= LARGEST:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
    except MemoryError as error:
        raise UserError(f'{path}: does not fit into memory: {error}') from error
    except Exception as error:  # zipfile, zlib and numpy raise a dozen types on a damaged file
        raise UserError(
            f'{path}: is damaged, or not an npz file of plain arrays: {error}'
        ) from error
    limit = f'at most {LARGEST / 2**30:.0f} GB are read'
    raise UserError(f'{path}: expands to {expanded / 2**30:.1f} GB; {limit}.')


def _expanded_bytes(path: pathlib.Path) -> int:
    total = 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                version = np.lib.format.read_magic(member)
                shape, _, dtype = HEADERS[version](member)
                total += math.prod(shape) * dtype.itemsize
    return total


def _split(path: pathlib.Path, arrays: dict[str, np.ndarray], split: str) -> Split:
    images = _images(f'{path}: {split}_images', arrays[f'{split}_images'])
    labels = _labels(f'{path}: {split}_labels', arrays[f'{split}_labels'])
    if len(images) != len(labels):
        raise UserError(f'{path}: {split} has {len(images)} images, but {len(labels)} labels.')
    groups = arrays.get(f'{split}_groups')
    if groups is not None and (groups.dtype.kind not in 'iuU' or groups.shape != labels.shape):
        given = f'{groups.dtype} {groups.shape}'
        raise UserError(f'{path}: {split}_groups is {given}: must be {len(labels)} names.')
    return Split(images, labels, groups)


def _images(name: str, array: np.ndarray) -> UInt8[np.ndarray, 'n h w c']:
    images = array[..., None] if array.ndim == 3 else array
    plain = images.dtype == np.uint8 and images.ndim == 4 and images.shape[-1] in (1, 3)
    if not plain or 0 in images.shape:
        allowed = 'uint8 (n, height, width) or (n, height, width, 1 or 3), and not empty'
        raise UserError(f'{name} is {array.dtype} {array.shape}: must be {allowed}.')
    return images


def _labels(name: str, array: np.ndarray) -> Int[np.ndarray, ' n']:
    if array.dtype.kind not in 'iu' or array.shape not in ((array.size,), (array.size, 1)):
        raise UserError(f'{name} is {array.dtype} {array.shape}: must be integers (n,) or (n, 1).')
    # A cast could wrap others around, and no data have so many classes.
    if len(array) and not 0 <= array.min() <= array.max() <= MOST:
        given = f'runs from {array.min()} to {array.max()}'
        raise UserError(f'{name} {given}: number the classes 0, 1, 2 and so on.')
    return array.reshape(-1).astype(np.int32)


def _class_names(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    names = arrays.get('classes', np.array([], str))
    if names.dtype.kind != 'U' or names.ndim != 1:
        raise UserError(f'{path}: classes is {names.dtype} {names.shape}: must be strings (k,).')
    return tuple(names.tolist())


def fitted(path: pathlib.Path, name: str, split: Split, shape: tuple[int, int, int]) -> Split:
    """The split `name` of `path`, its images as a model of `shape` takes them (`images.fitted`)."""
    if split.images.shape[1:] == shape:
        return split
    pixels = [
        images.fitted(image, shape, f'{path}: image {i} of {name}')
        for i, image in enumerate(split.images)
    ]
    return Split(np.stack(pixels), split.labels, split.groups)
