"""What must hold for every data set, whatever its source."""

import unicodedata

import numpy as np

from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError


def check(dataset: Dataset) -> None:
    """Passes what is fit to train on and to score.

    Raises:
      UserError: for fewer than two classes, a class name that is used twice, empty, not UTF-8 or
        with control characters, an empty split, images that are not uint8 [n, h, w, 1 or 3] of one
        shape, a label without a class, or a class that a split lacks (training cannot learn it, and
        AUROC is undefined without it).
    """
    classes = dataset.classes
    if len(classes) < 2 or len(set(classes)) < len(classes):
        given = ', '.join(classes) or 'none'
        raise UserError(f'{dataset.title}: the classes are {given}: two or more, all different.')
    for name in (dataset.title, *classes):
        if not _is_unicode(name):
            raise UserError(f'the name {name!r} of the data or of a class is not UTF-8: rename it.')
    for name in classes:
        if not fit_for_class(name):
            raise UserError(f'{dataset.title}: no class can be called {name!r}: rename it.')
    for name in SPLITS:
        problem = _problem(getattr(dataset, name), dataset)
        if problem:
            raise UserError(f'{dataset.title}: {name} {problem}')


def fit_for_class(name: object) -> bool:
    """Whether it is text of one line that can be written, and that no terminal obeys."""
    return (
        isinstance(name, str)
        and bool(name.strip())
        and _is_unicode(name)
        and not any(unicodedata.category(sign) in ('Cc', 'Zl', 'Zp') for sign in name)
    )


def _is_unicode(name: str) -> bool:
    """Whether it can be written: other bytes of a file's name are kept as surrogates."""
    return not any('\ud800' <= letter <= '\udfff' for letter in name)


def _problem(split: Split, dataset: Dataset) -> str:
    """What is wrong with the split, or nothing."""
    images, labels, classes = split.images, split.labels, len(dataset.classes)
    if not len(labels):
        return 'has no image.'
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        return f'images are {images.dtype} {images.shape}, not uint8 (n, height, width, 1 or 3).'
    if images.shape[1:] != dataset.image_shape:
        return f'images have the shape {images.shape[1:]}, those of train {dataset.image_shape}.'
    if len(images) != len(labels):
        return f'has {len(images)} images, but {len(labels)} labels.'
    if labels.min() < 0 or labels.max() >= classes:
        return f'labels run from {labels.min()} to {labels.max()}, not from 0 to {classes - 1}.'
    empty = np.setdiff1d(np.arange(classes), labels)
    if len(empty):
        listed = ', '.join(repr(dataset.classes[c]) for c in empty[:5])
        return f'has an empty class, one without any image: {listed}. Every split needs them all.'
    return ''
