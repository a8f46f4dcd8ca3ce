"""The data set of a benchmark as an npz with MedMNIST's keys, the same for us and for peers."""

import pathlib

import numpy as np

from pneumo_jax import files
from pneumo_jax.benchmark.cases import Case, Group
from pneumo_jax.data.dataset import SPLITS, Dataset, Split

TRAIN = 4708  # PneumoniaMNIST has so many, at every size
STEPS = 4  # at least, of an epoch


def count(group: Group) -> int:
    """How many training images are drawn: as PneumoniaMNIST at 28 px, fewer where they are large.

    Never less than `STEPS` steps of the group's largest.
    """
    step = max(case.batch * case.mesh_size for case in group)
    return max(TRAIN * 28 // max(28, group[0].size), STEPS * step)


def drawn(case: Case, train: int) -> Dataset:
    """Noise for `case`: val a ninth of `train`, as in PneumoniaMNIST, and next to no test."""
    rng = np.random.default_rng(0)
    shape = (case.size, case.size, case.channels)

    def split(images: int) -> Split:
        pixels = rng.integers(0, 256, (images, *shape), np.uint8)
        return Split(pixels, np.arange(images, dtype=np.int32) % case.classes)

    val = max(case.classes, train // 9)
    names = tuple(map(str, range(case.classes)))
    return Dataset('noise', names, split(train), split(val), split(case.classes))


def write(path: pathlib.Path, dataset: Dataset) -> pathlib.Path:
    """Leave `dataset` at `path`."""
    splits = {name: getattr(dataset, name) for name in SPLITS}
    images = {f'{name}_images': split.images for name, split in splits.items()}
    labels = {f'{name}_labels': split.labels for name, split in splits.items()}
    with files.atomic(path) as temporary, temporary.open('wb') as out:
        np.savez(out, **images, **labels)
    return path
