"""The one type behind every data source."""

import dataclasses
import functools
import hashlib

import numpy as np
from jaxtyping import Int, UInt8

SPLITS = ('train', 'val', 'test')


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels, in a fixed order.

    `groups` names the patient of every image, where the source tells.
    """

    images: UInt8[np.ndarray, 'n h w c']
    labels: Int[np.ndarray, ' n']
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits and what their labels mean.

    `title` heads every output that is made of the data. `flag` is the name under which MedMNIST
    lists the set, and None where the data are not an official file.
    """

    title: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    flag: str | None = None
    synthetic: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels), the same for every image of every split."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over every image and label: equal digests mean equal data."""
        sha = hashlib.sha256()
        for name in SPLITS:
            split: Split = getattr(self, name)
            sha.update(np.ascontiguousarray(split.images).data)
            sha.update(np.ascontiguousarray(split.labels, dtype=np.int32).data)
        return sha.hexdigest()


def summary(dataset: Dataset) -> str:
    """A table of counts: a row a class, a column a split, with each class's share."""
    splits: list[Split] = [getattr(dataset, name) for name in SPLITS]
    height, width, channels = dataset.image_shape
    widest = max(map(len, (*dataset.classes, 'patients')))
    lines = [
        f'{dataset.title}: {height} x {width} px, {channels} channel{"s" if channels > 1 else ""}',
        ' ' * widest + ''.join(f'{name:>18}' for name in SPLITS),
    ]
    for label, name in enumerate(dataset.classes):
        counts = [(split.labels == label).sum() for split in splits]
        cells = [
            f'{n:>9,} ({n / len(split):6.1%})' for n, split in zip(counts, splits, strict=True)
        ]
        lines.append(f'{name:<{widest}}' + ''.join(f'{cell:>18}' for cell in cells))
    lines.append(f'{"all":<{widest}}' + ''.join(f'{len(split):>9,}{"":9}' for split in splits))
    if all(split.groups is not None for split in splits):
        patients = [len(np.unique(np.asarray(split.groups))) for split in splits]
        lines.append(f'{"patients":<{widest}}' + ''.join(f'{n:>9,}{"":9}' for n in patients))
    return '\n'.join(lines)
