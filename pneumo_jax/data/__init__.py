"""Chest radiographs, or other images, as one `Dataset`, whatever they come from."""

import dataclasses
import pathlib
import sys

from pneumo_jax import errors, files
from pneumo_jax.data import medmnist
from pneumo_jax.data.dataset import SPLITS, Dataset
from pneumo_jax.fields import CHOICES

VALS = CHOICES['data.val']


def check(*, name: str, size: int, path: str = '') -> None:
    """Refuse (`UserError`) what `load` cannot have, as far as can be told without any file."""
    if not path and name != 'synthetic':
        medmnist.check(name, size)
    elif not path and not size:
        raise errors.UserError('data.size=0: synthetic images need a size, such as 28.')


def load(
    *,
    name: str,
    size: int,
    path: str = '',
    limit: int = 0,
    val_fraction: float = 0.1,
    seed: int = 0,
    fallback: str = '',
    groups: str = '',
    val: str = 'official',
) -> Dataset:
    """A data set from a file or folder (`path`), or else by name.

    Args:
      name: 'synthetic' or a set of MedMNIST, as 'pneumoniamnist'. Not used where `path` is given.
      size: height and width in pixels; 0 keeps those of an npz file.
      path: an npz file with MedMNIST's keys, or a folder SPLIT/CLASS/*.jpeg.
      limit: where > 0, only the first so many images of a split, the classes as equal as can be.
      val_fraction: the part of train that becomes val where `path` has no val.
      seed: chooses that part, and draws the synthetic images.
      fallback: 'synthetic' stands in, with a line on stderr, for a MedMNIST set that is neither
        here nor can be downloaded.
      groups: a csv file that names the patient of every image, as `groups.read` says. Where val is
        cut from train, it names the images as they lie after the cut.
      val: 'official', or 'patients': a new one, of the same size, that shares no patient with train
        (`splits.patient_disjoint`, chosen by `seed`), or 'conflicting': one of the images whose
        look speaks for another class (`splits.conflicting`).

    Raises:
      errors.UserError: where there are no data of that description, fit to train on and to score.
    """
    from pneumo_jax.data import checks, splits

    if val not in VALS:
        raise errors.unknown('data.val', val, VALS)
    try:
        if path:
            # A folder is limited before it is decoded, unless what follows needs all its images.
            early = 0 if groups or val != 'official' else limit
            dataset = _given(files.expanded(path), size, early, val_fraction, seed)
        else:
            dataset = _named(name, size, seed, fallback)
    except OSError as error:
        raise errors.UserError(f'the data cannot be read: {error}') from error
    checks.check(dataset)
    if groups:
        dataset = _with_patients(dataset, files.expanded(groups))
    if val != 'official':
        cut = splits.patient_disjoint if val == 'patients' else splits.conflicting
        dataset = cut(dataset, seed)
    return splits.limited(dataset, limit) if limit else dataset


def _given(path: pathlib.Path, size: int, limit: int, val_fraction: float, seed: int) -> Dataset:
    from pneumo_jax.data import arrays, folder

    if path.is_dir():
        return folder.load(path, size=size, limit=limit, val_fraction=val_fraction, seed=seed)
    return arrays.load(path, size=size, val_fraction=val_fraction, seed=seed)


def _with_patients(dataset: Dataset, path: pathlib.Path) -> Dataset:
    from pneumo_jax.data import groups

    labels = {name: getattr(dataset, name).labels for name in SPLITS}
    patients = groups.read(path, labels)
    parts = {
        name: dataclasses.replace(getattr(dataset, name), groups=patients[name]) for name in SPLITS
    }
    return dataclasses.replace(dataset, **parts)


def _named(name: str, size: int, seed: int, fallback: str) -> Dataset:
    from pneumo_jax.data import download
    from pneumo_jax.data.synthetic import synthetic

    if fallback not in ('', 'synthetic'):
        raise errors.unknown('data.fallback', fallback, ('synthetic',))
    if name == 'synthetic':
        return synthetic(size, seed)
    try:
        return medmnist.load(name, size)
    except download.UnavailableError as error:
        if not fallback:
            raise
        print(f'data: synthetic images in place of {name}: {error}', file=sys.stderr)
        return synthetic(size, seed)
