"""Which images go where: patients, a held-out part of train, the first few of every class."""

import dataclasses
import re

import numpy as np
from jaxtyping import Bool, Int

from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

# Mendeley: BACTERIA-1008087-0001.jpeg; Kaggle: person1_virus_6.jpeg, NORMAL2-IM-0001-0001.jpeg.
_PATIENT = re.compile(
    r'(?:bacteria|virus|normal|pneumonia)-(\d+)-|(person\d+)_|((?:normal2-)?im-\d+)-', re.IGNORECASE
)


def patient_of(name: str) -> str | None:
    """The patient that a file name of the chest X-ray sets of Kermany et al. tells, if any.

    Numbers of different naming schemes never give the same patient. Compare them within one split
    only: Kaggle's person1 of train and its person1 of test may be two children.
    """
    match = _PATIENT.match(name)
    return match[match.lastindex or 0].casefold() if match else None


def hold_out(
    labels: Int[np.ndarray, ' n'], groups: np.ndarray | None, fraction: float, seed: int
) -> Bool[np.ndarray, ' n']:
    """Marks about `fraction` of every class, and of a group (a patient) all images or none.

    At least one image of a class is marked, if a small enough group has it. A group counts to the
    class of its first image. The choice depends on the arguments alone.

    Raises:
      UserError: where `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise UserError(f'data.val_fraction={fraction}: must lie between 0 and 1, as 0.1 does.')
    names = np.arange(len(labels)) if groups is None else groups
    _, first, group = np.unique(names, return_index=True, return_inverse=True)
    sizes, classes = np.bincount(group), labels[first]
    room = {c: max(1, round(fraction * sizes[classes == c].sum())) for c in np.unique(classes)}
    chosen = np.zeros(len(sizes), bool)
    for g in np.random.default_rng(seed).permutation(len(sizes)):
        if sizes[g] <= room[classes[g]]:
            room[classes[g]] -= sizes[g]
            chosen[g] = True
    return chosen[group]


def first_of_each(labels: Int[np.ndarray, ' n'], limit: int) -> Int[np.ndarray, ' k']:
    """Indices, ascending, of the first `limit` images, the classes as equal as they can be.

    Raises:
      UserError: where `limit` leaves a class out.
    """
    classes = len(np.unique(labels))
    if limit < classes:
        raise UserError(f'data.limit={limit} leaves a class out: at least {classes}, or 0 for all.')
    rank = np.empty(len(labels), int)
    for c in np.unique(labels):
        rank[labels == c] = np.arange(np.sum(labels == c))
    return np.sort(np.argsort(rank, kind='stable')[:limit])


def take(split: Split, index: np.ndarray) -> Split:
    """The images at these positions (integers or a mask), with their labels and groups."""
    groups = None if split.groups is None else split.groups[index]
    return Split(split.images[index], split.labels[index], groups)


def limited(dataset: Dataset, limit: int) -> Dataset:
    """At most `limit` images of every split, as `first_of_each` chooses them."""
    few = {name: getattr(dataset, name) for name in SPLITS}
    few = {name: take(split, first_of_each(split.labels, limit)) for name, split in few.items()}
    return dataclasses.replace(dataset, **few)
