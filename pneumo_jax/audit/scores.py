"""The probabilities that a finished run left."""

import pathlib

import numpy as np
from jaxtyping import Float

from pneumo_jax.data.dataset import Dataset
from pneumo_jax.errors import UserError

SPLITS = ('val', 'test')


def read(folder: pathlib.Path, dataset: Dataset) -> dict[str, Float[np.ndarray, ' n']]:
    """P(class 1) of every image of val and test; with more than two classes, P of its own class.

    Raises:
      UserError: where the folder has no predictions, damaged ones, or those of other data.
    """
    missing = [name for name in SPLITS if not _file(folder, name).is_file()]
    if missing:
        lacks = ' and no '.join(_file(folder, name).name for name in missing)
        raise UserError(f'--run {folder}: is not the folder of a finished run: it has no {lacks}.')
    return {name: _probabilities(_file(folder, name), dataset, name) for name in SPLITS}


def title(classes: tuple[str, ...]) -> str:
    """What `read` gives, in words."""
    return f'P({classes[1]})' if len(classes) == 2 else "P(the image's own class)"


def _file(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / f'predictions_{name}.npz'


def _probabilities(path: pathlib.Path, dataset: Dataset, name: str) -> Float[np.ndarray, ' n']:
    labels = getattr(dataset, name).labels
    try:
        with np.load(path, allow_pickle=False) as file:
            probabilities, given = np.asarray(file['probabilities']), file['labels']
    except Exception as error:  # zipfile, zlib and numpy raise a dozen types on a damaged file
        raise UserError(f'{path}: is damaged, or not of a run: {error}') from error
    if not np.array_equal(given, labels) or tuple(given.shape) != labels.shape:
        counts = f'{given.size} there, {labels.size} here'
        raise UserError(
            f'{path}: its labels are not those of {dataset.title}, {name} ({counts}). '
            'Give the --config and the data fields of the run.'
        )
    shape = (len(labels), len(dataset.classes))
    plain = probabilities.dtype.kind == 'f' and probabilities.shape == shape
    if not plain or not ((probabilities >= 0) & (probabilities <= 1)).all():
        given = f'{probabilities.dtype} {probabilities.shape}'
        raise UserError(f'{path}: probabilities are {given}: must be {shape}, from 0 to 1.')
    return probabilities[:, 1] if shape[1] == 2 else probabilities[np.arange(shape[0]), labels]
