"""Images that are in a data set twice, byte for byte or nearly so.

Near duplicates have a Pearson correlation above `NEAR`, of gray pixels, at 28 px or less; gain and
offset do not count. `NEAR` was measured on PneumoniaMNIST at 28 px: of its 17 million pairs the
highest of different patients has .965; of copies compressed anew (JPEG, quality 50), given another
gamma (1.4) or shifted by a quarter of a pixel, 99 % have more than .97. Most copies that were
shifted by a pixel, turned by two degrees or mirrored are not found.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.data.images import square

SIDE = 28
NEAR = 0.97
TILE = 2048  # images a side of a product of matrices, of 16 MB
MOST = 1_000_000  # pairs of a kind; more are counted no further
LISTED = 20

Found = dict[str, Any]


class Pairs(NamedTuple):
    """Places of two images each, counted through train, val and test, the smaller first."""

    first: Int[np.ndarray, ' p']
    second: Int[np.ndarray, ' p']
    correlation: Float[np.ndarray, ' p']


class Table(NamedTuple):
    """Where every image comes from and what is known of it; splits and patients by number."""

    split: Int[np.ndarray, ' n']
    number: Int[np.ndarray, ' n']
    label: Int[np.ndarray, ' n']
    patient: Int[np.ndarray, ' n'] | None


def find(dataset: Dataset) -> Found:
    """All pairs, counted by the splits they are in; the most telling ones one by one.

    `highest_of_different_patients` is the highest correlation of such a pair that is not identical;
    it should lie below `NEAR`. It and `same_patient` are None where the patients are not known.
    """
    splits = [getattr(dataset, name) for name in SPLITS]
    table, content = table_of(splits), contents(splits)
    pixels = np.concatenate([features(split.images) for split in splits])
    near, highest = similar(pixels, content, table.patient)
    kinds = {'exact': identical(content), 'near': near}
    copies = np.bincount(content)
    return {
        'near_above': NEAR,
        'highest_of_different_patients': highest,
        'complete': all(len(pairs.first) < MOST for pairs in kinds.values()),
        'sets_of_identical': int((copies > 1).sum()),
        'images_in_them': int(copies[copies > 1].sum()),
        'pairs': {
            f'{SPLITS[a]}-{SPLITS[b]}': {
                kind: _counts(pairs, table, (a, b)) for kind, pairs in kinds.items()
            }
            for a, b in itertools.combinations_with_replacement(range(len(SPLITS)), 2)
        },
        'first': _listed(kinds, table, dataset.classes),
    }


def table_of(splits: Sequence[Split]) -> Table:
    """The images of all splits, one after the other."""
    sizes = [len(split) for split in splits]
    names = [split.groups.astype(str) for split in splits if split.groups is not None]
    known = len(names) == len(splits)
    return Table(
        np.repeat(np.arange(len(splits)), sizes),
        np.concatenate([np.arange(size) for size in sizes]),
        np.concatenate([split.labels for split in splits]),
        np.unique(np.concatenate(names), return_inverse=True)[1] if known else None,
    )


def contents(splits: Sequence[Split]) -> Int[np.ndarray, ' n']:
    """A number for every image, the same for the same bytes."""
    every = itertools.chain.from_iterable(split.images for split in splits)
    digests = [hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in every]
    return np.unique(digests, return_inverse=True)[1]


def identical(content: Int[np.ndarray, ' n']) -> Pairs:
    """The pairs of equal content, up to `MOST`."""
    order = np.argsort(content, kind='stable')
    sets = np.split(order, np.flatnonzero(np.diff(content[order])) + 1)
    pairs = itertools.chain.from_iterable(itertools.combinations(same, 2) for same in sets)
    found = np.array(list(itertools.islice(pairs, MOST)), np.int64).reshape(-1, 2)
    return Pairs(found[:, 0], found[:, 1], np.ones(len(found), np.float32))


def features(images: UInt8[np.ndarray, 'n h w c']) -> Float[np.ndarray, 'n d']:
    """Gray pixels at `SIDE` px or less, with mean 0 and norm 1; zeros where all are equal."""
    side = min(SIDE, *images.shape[1:3])
    if images.shape[1:3] != (side, side):
        images = np.stack([square(image, side) for image in images])
    gray = images.mean(-1, dtype=np.float32).reshape(len(images), -1)
    gray -= gray.mean(1, keepdims=True)
    return gray / np.maximum(np.linalg.norm(gray, axis=1, keepdims=True), 1e-3)


def similar(
    features: Float[np.ndarray, 'n d'],
    content: Int[np.ndarray, ' n'],
    patients: Int[np.ndarray, ' n'] | None,
) -> tuple[Pairs, float | None]:
    """The pairs above `NEAR` of unequal content, up to `MOST`, and the highest of two patients."""
    from tqdm import tqdm

    starts = range(0, len(features), TILE)
    tiles = list(itertools.combinations_with_replacement(starts, 2))
    found, highest, many = [], -np.inf, 0
    for a, b in tqdm(tiles, desc='near duplicates', delay=2, disable=None, leave=False):
        one, other = slice(a, a + TILE), slice(b, b + TILE)
        tile = features[one] @ features[other].T
        tile[content[one, None] == content[other]] = 0
        if patients is not None:
            strangers = patients[one, None] != patients[other]
            highest = max(highest, float(tile.max(where=strangers, initial=-np.inf)))
        first, second = np.nonzero(tile > NEAR)
        ordered = first + a < second + b  # a tile on the diagonal has every pair twice
        first, second = first[ordered], second[ordered]
        found.append((first + a, second + b, tile[first, second]))
        many += len(first)
        if many >= MOST:
            break
    first, second, correlation = (np.concatenate(part)[:MOST] for part in zip(*found, strict=True))
    return Pairs(first, second, correlation), highest if np.isfinite(highest) else None


def _same_patient(pairs: Pairs, table: Table) -> Bool[np.ndarray, ' p'] | None:
    patient = table.patient
    return None if patient is None else patient[pairs.first] == patient[pairs.second]


def _counts(pairs: Pairs, table: Table, splits: tuple[int, int]) -> dict[str, int | None]:
    """How many of the pairs lie in these two splits."""
    here = (table.split[pairs.first] == splits[0]) & (table.split[pairs.second] == splits[1])
    other = table.label[pairs.first] != table.label[pairs.second]
    same = _same_patient(pairs, table)
    return {
        'pairs': int(here.sum()),
        'other_label': int((here & other).sum()),
        'same_patient': None if same is None else int((here & same).sum()),
    }


def _listed(kinds: Mapping[str, Pairs], table: Table, classes: Sequence[str]) -> list[Found]:
    """The first pairs: first of two labels, then across splits, then near, then the most alike."""
    pairs = Pairs(*(np.concatenate(parts) for parts in zip(*kinds.values(), strict=True)))
    kind = np.repeat(list(kinds), [len(of_kind.first) for of_kind in kinds.values()])
    alone = table.split[pairs.first] == table.split[pairs.second]
    agree = table.label[pairs.first] == table.label[pairs.second]
    same = _same_patient(pairs, table)
    order = np.lexsort((*pairs[:2], -pairs.correlation, kind == 'exact', alone, agree))[:LISTED]
    return [
        {
            'kind': str(kind[p]),
            'images': [
                _image(table, place, classes) for place in (pairs.first[p], pairs.second[p])
            ],
            'correlation': float(pairs.correlation[p]),
            'same_patient': None if same is None else bool(same[p]),
        }
        for p in order
    ]


def _image(table: Table, place: int, classes: Sequence[str]) -> Found:
    return {
        'split': SPLITS[table.split[place]],
        'index': int(table.number[place]),
        'class': classes[table.label[place]],
    }
