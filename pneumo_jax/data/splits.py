"""Which images go where: patients, a held-out part of train, the first few of every class."""

import dataclasses
import re

import numpy as np
from jaxtyping import Bool, Int

from pneumo_jax.data import look
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

# Mendeley: BACTERIA-1008087-0001.jpeg; Kaggle: person1_virus_6.jpeg, NORMAL2-IM-0001-0001.jpeg.
_PATIENT = re.compile(
    r'(?:bacteria|virus|normal|pneumonia)-(\d+)-|(person\d+)_|((?:normal2-)?im-\d+)-', re.IGNORECASE
)

TITLES = {'patients': 'patient-disjoint', 'conflicting': 'conflicting'}  # of a val cut anew
Grouped = tuple[Int[np.ndarray, ' n'], Int[np.ndarray, ' g']]


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
      UserError: where `fraction` is not between 0 and 1, or nothing would be left on one side.
    """
    if not 0 < fraction < 1:
        raise UserError(f'data.val_fraction={fraction}: must lie between 0 and 1, as 0.1 does.')
    group, classes = _grouped(labels, groups)
    counts = np.bincount(classes[group])
    order = np.random.default_rng(seed).permutation(len(classes))
    held = _filled(group, classes, np.maximum(1, np.round(fraction * counts)), order)
    if held.all() or not held.any():
        left = 'train' if held.all() else 'val'
        raise UserError(
            f'there is no val, and val_fraction={fraction} of train ({len(labels)} images, '
            f'{len(classes)} patients or single images) leaves {left} none: give a val split.'
        )
    return held


def patient_disjoint(dataset: Dataset, seed: int) -> Dataset:
    """Train and val pooled and cut anew, so that they share no patient; test stays as it is.

    The new val has, up to the sizes of patients, as many images of every class as the old one. It
    is not the official split, so the data set loses its `flag`: MedMNIST's Evaluator would hold
    the scores of the new val against the labels of its own.

    Raises:
      UserError: where the patients are not known, or are too few for every class in both.
    """
    if dataset.train.groups is None or dataset.val.groups is None:
        raise UserError(
            "data.val='patients' needs the patient of every image: give data.groups=FILE.csv with "
            'the columns split, index, patient.'
        )
    pool = _pool(dataset.train, dataset.val)
    grouped = _grouped(pool.labels, pool.groups)
    order = np.random.default_rng(seed).permutation(len(grouped[1]))
    return _recut(dataset, pool, grouped, order, 'patients')


def conflicting(dataset: Dataset, seed: int) -> Dataset:
    """As `patient_disjoint`, but val gets the images whose look speaks most for another class.

    What brightness, framing and sharpness tell of the class (`look.own_class`, whose folds `seed`
    draws) is true of the new train, and misleads in the new val. Where patients are known they are
    kept together, and where not every image counts as one.

    Raises:
      UserError: where there are too few patients for every class in both, or to tell any look.
    """
    pool = _pool(dataset.train, dataset.val)
    group, classes = grouped = _grouped(pool.labels, pool.groups)
    if np.bincount(classes).min() < look.FOLDS:
        raise UserError(
            f"data.val='conflicting': {dataset.title}: of a class there are fewer than "
            f'{look.FOLDS} patients in train and val.'
        )
    own = look.own_class(pool.images, pool.labels, group, seed)
    order = np.argsort(np.bincount(group, own) / np.bincount(group), kind='stable')
    return _recut(dataset, pool, grouped, order, 'conflicting')


def _pool(train: Split, val: Split) -> Split:
    groups = None
    if train.groups is not None and val.groups is not None:
        groups = np.concatenate([train.groups.astype(str), val.groups.astype(str)])
    images, labels = (
        np.concatenate([getattr(train, of), getattr(val, of)]) for of in ('images', 'labels')
    )
    return Split(images, labels, groups)


def _recut(
    dataset: Dataset, pool: Split, grouped: Grouped, order: Int[np.ndarray, ' g'], val: str
) -> Dataset:
    """The data with a val of the first groups of the pool, in this order, that have room in it."""
    room = np.bincount(dataset.val.labels, minlength=len(dataset.classes))
    held = _filled(*grouped, room, order)
    if any(len(np.unique(pool.labels[part])) < len(room) for part in (held, ~held)):
        raise UserError(
            f'data.val={val!r}: {dataset.title}: a class has too few patients, or one of too '
            'many images, to be in both train and val.'
        )
    title = f'{dataset.title}, {TITLES[val]} val'
    return dataclasses.replace(
        dataset, title=title, train=take(pool, ~held), val=take(pool, held), flag=None
    )


def _grouped(labels: Int[np.ndarray, ' n'], groups: np.ndarray | None) -> Grouped:
    """The group of every image, numbered, and the class of every group: that of its first image."""
    names = np.arange(len(labels)) if groups is None else groups
    _, first, group = np.unique(names, return_index=True, return_inverse=True)
    return group, labels[first]


def _filled(
    group: Int[np.ndarray, ' n'],
    classes: Int[np.ndarray, ' g'],
    room: np.ndarray,
    order: Int[np.ndarray, ' g'],
) -> Bool[np.ndarray, ' n']:
    """Marks the images of groups, taken in this order where their class still has room for them."""
    sizes, room = np.bincount(group), room.copy()
    chosen = np.zeros(len(sizes), bool)
    for g in order:
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
