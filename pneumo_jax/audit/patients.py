"""Patients of whom two splits have images."""

import itertools
from typing import Any

import numpy as np

from pneumo_jax.data.dataset import SPLITS, Dataset


def shared(dataset: Dataset) -> dict[str, Any] | None:
    """How many patients every split has and two splits share, and how many images those have.

    Patients are told apart by their names. None where they are not known.
    """
    splits = {name: getattr(dataset, name) for name in SPLITS}
    if any(split.groups is None for split in splits.values()):
        return None
    names = {name: split.groups.astype(str) for name, split in splits.items()}
    pairs = {}
    for a, b in itertools.combinations(SPLITS, 2):
        both = np.intersect1d(names[a], names[b])
        images = {name: int(np.isin(names[name], both).sum()) for name in (a, b)}
        pairs[f'{a}-{b}'] = {'patients': len(both), 'images': images}
    return {
        'patients': {name: len(np.unique(patients)) for name, patients in names.items()},
        'images': {name: len(patients) for name, patients in names.items()},
        'shared': pairs,
    }
