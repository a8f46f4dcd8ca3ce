"""The patient of every image, from a table beside the data."""

import csv
import pathlib
import re
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Int

from pneumo_jax.errors import UserError

LARGEST = 64 * 2**20  # bytes; a table of 6,000 images has 160 kB
COLUMNS = ('split', 'index', 'patient')

Labels = Mapping[str, Int[np.ndarray, ' n']]


def read(path: pathlib.Path, labels: Labels) -> dict[str, np.ndarray]:
    """The patients (strings) of every split's images, in their order.

    The table is a csv file in UTF-8 with the columns split, index (from 0) and patient; every image
    of `labels` is named once. A column label must agree with `labels`; others are passed over.

    Raises:
      UserError: for a file that is missing, damaged or too large, or that names not exactly these
        images.
    """
    found: dict[str, dict[int, str]] = {split: {} for split in labels}
    for line, row in _rows(path):
        try:
            split, index, patient = _image(row, labels)
            if index in found[split]:
                raise ValueError(f'{split} {index} is named a second time')
        except ValueError as error:
            raise UserError(f'{path}: line {line}: {error}.') from error
        found[split][index] = patient
    for split, known in labels.items():
        missing = [index for index in range(len(known)) if index not in found[split]]
        if missing:
            listed = ', '.join(map(str, missing[:5])) + (', ...' if len(missing) > 5 else '')
            many = f'{len(missing)} of {len(known)} {split} images'
            raise UserError(f'{path}: names no patient for {many}: index {listed}.')
    return {
        split: np.array([patients[i] for i in range(len(patients))], str)
        for split, patients in found.items()
    }


def columns(path: pathlib.Path, split: str, labels: Int[np.ndarray, ' n']) -> dict[str, np.ndarray]:
    """Every column of the table (strings) for the images of one split, in their order.

    Raises:
      UserError: as `read`, but for what the table says of other splits.
    """
    found: dict[int, dict[str, str]] = {}
    for line, row in _rows(path):
        if row['split'].strip() != split:
            continue
        try:
            index = _image(row, {split: labels})[1]
            if index in found:
                raise ValueError(f'{split} {index} is named a second time')
        except ValueError as error:
            raise UserError(f'{path}: line {line}: {error}.') from error
        found[index] = row
    missing = len(labels) - len(found)
    if missing:
        raise UserError(f'{path}: names no patient for {missing} of {len(labels)} {split} images.')
    return {name: np.array([found[i][name].strip() for i in range(len(labels))]) for name in row}


def _rows(path: pathlib.Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The number and the content of every line of the table."""
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f'{path}: is larger than {LARGEST / 2**20:.0f} MB: no such table.')
        with path.open(newline='', encoding='utf-8-sig') as file:
            table = csv.DictReader(file, restval='')
            given = table.fieldnames or []
            if not set(COLUMNS) <= set(given):
                listed = ', '.join(given)[:200] or 'none'
                raise UserError(f'{path}: the columns are {listed}; needed: {", ".join(COLUMNS)}.')
            for row in table:
                row.pop(None, None)  # what stands beyond the last column
                yield table.line_num, row
    except OSError as error:
        raise UserError(f'{path} cannot be read: {error.strerror}.') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{path}: is damaged, or not a csv file in UTF-8: {error}.') from error


def _image(row: Mapping[str, str], labels: Labels) -> tuple[str, int, str]:
    """Split, index and patient of a row (`ValueError` where there is no such image)."""
    split, index, patient = (row[column].strip() for column in COLUMNS)
    if split not in labels:
        raise ValueError(f'the split is {split!r}, not one of {", ".join(labels)}')
    count = len(labels[split])
    if not re.fullmatch(r'[0-9]{1,12}', index) or int(index) >= count:
        raise ValueError(f'the index is {index!r}; {split} has the images 0 to {count - 1}')
    if not patient:
        raise ValueError(f'{split} {index} has no patient')
    label = row.get('label', '').strip()
    actual = str(labels[split][int(index)])
    if 'label' in row and label != actual:
        raise ValueError(f'the label of {split} {index} is {label!r}, that of the image {actual}')
    return split, int(index), patient
