"""Every data set passes the same checks; each of them can fail."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from pneumo_jax.data.checks import check
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.errors import UserError

GOOD = Split(np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 0, 1], np.int32))
FIT = Dataset('drawn', ('Normal', 'Pneumonia'), GOOD, GOOD, GOOD)


def split(shape: tuple[int, ...], labels: list[int], dtype: type = np.uint8) -> Split:
    return Split(np.zeros(shape, dtype), np.array(labels, np.int32))


def test_a_fit_set_passes() -> None:
    check(FIT)


@pytest.mark.parametrize(
    ('name', 'bad', 'message'),
    [
        ('val', split((0, 8, 8, 1), []), 'val has no image'),
        ('test', split((2, 8, 8, 1), [1, 1]), "test has an empty class.*'Normal'"),
        ('train', split((2, 8, 8, 1), [0, 0]), "train has an empty class.*'Pneumonia'"),
        ('val', split((3, 8, 8, 1), [0, 1, 2]), 'run from 0 to 2, not from 0 to 1'),
        ('val', split((3, 8, 8, 1), [0, 1, -1]), 'run from -1 to 1'),
        ('test', split((2, 8, 9, 1), [0, 1]), r'\(8, 9, 1\), those of train \(8, 8, 1\)'),
        ('val', split((2, 8, 8, 3), [0, 1]), r'\(8, 8, 3\), those of train'),
        ('train', split((2, 8, 8, 2), [0, 1]), '1 or 3'),
        ('train', split((2, 8, 8), [0, 1]), 'height, width'),
        ('train', split((2, 8, 8, 1), [0, 1], np.float32), 'float32'),
        ('train', split((3, 8, 8, 1), [0, 1]), '3 images, but 2 labels'),
    ],
)
def test_an_unfit_split_is_named(name: str, bad: Split, message: str) -> None:
    changed: dict[str, Any] = {name: bad}
    with pytest.raises(UserError, match=f'^drawn: .*{message}'):
        check(dataclasses.replace(FIT, **changed))


@pytest.mark.parametrize(
    'changed', [{'title': 'caf\udce9 28 px'}, {'classes': ('Normal', 'Gr\udcfcn')}]
)
def test_names_that_could_not_be_written_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UserError, match='not UTF-8: rename it'):
        check(dataclasses.replace(FIT, **changed))


@pytest.mark.parametrize('classes', [(), ('one',), ('same', 'same')])
def test_classes_are_two_or_more_and_differ(classes: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match='two or more'):
        check(dataclasses.replace(FIT, classes=classes))


@pytest.mark.parametrize('name', ['', ' ', 'a\nb', 'a\n', 'a\x0b', 'a\x1b[2J', 'a\u2028b'])
def test_names_that_would_break_a_table_are_refused(name: str) -> None:
    with pytest.raises(UserError, match='no class can be called'):
        check(dataclasses.replace(FIT, classes=('Normal', name)))
