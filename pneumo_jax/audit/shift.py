"""How the pictures, and a model's scores, of val and test differ, class by class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pneumo_jax.data.dataset import SPLITS, Dataset

CHUNK = 256  # images that are measured at once
MEASURES = {
    'brightness': 'mean of the gray levels, 0 to 255',
    'contrast': 'standard deviation of the gray levels',
    'sharpness': 'variance of the Laplacian over the variance of the gray levels',
}

Values = Mapping[str, Float[np.ndarray, ' n']]  # of every split
Found = dict[str, Any]


def measure(images: UInt8[np.ndarray, 'n h w c']) -> dict[str, Float[np.ndarray, ' n']]:
    """Every one of `MEASURES` of every image.

    Over the variance, sharpness does not change with brightness and contrast; it is 0 where all
    gray levels are equal.
    """
    parts = [_measured(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in MEASURES}


def _measured(images: UInt8[np.ndarray, 'n h w c']) -> dict[str, Float[np.ndarray, ' n']]:
    gray = images.mean(-1, dtype=np.float32)
    inner = gray[:, 1:-1, 1:-1]
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] - 4 * inner
    laplacian += gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:]
    variance = gray.var((1, 2))
    edges = laplacian.var((1, 2)) if laplacian.size else np.zeros_like(variance)
    return {
        'brightness': gray.mean((1, 2)),
        'contrast': np.sqrt(variance),
        'sharpness': np.divide(edges, variance, out=np.zeros_like(variance), where=variance > 0),
    }


def of_images(dataset: Dataset) -> dict[str, Values]:
    """The measures of every split: {measure: {split: values}}."""
    found = {name: measure(getattr(dataset, name).images) for name in SPLITS}
    return {kind: {name: found[name][kind] for name in SPLITS} for kind in MEASURES}


def by_class(values: Values, dataset: Dataset, half: bool = False) -> Found:
    """Mean and sd of every split, and the difference from val to test, for every class.

    `half` adds the share above .5, for probabilities.
    """
    found = {}
    for label, name in enumerate(dataset.classes):
        mine = of_class(values, dataset, label)
        splits: Found = {split: moments(part) for split, part in mine.items()}
        if half:
            for split, part in mine.items():
                splits[split]['above_half'] = float((part > 0.5).mean())
        found[name] = {'splits': splits, 'val_to_test': difference(mine['val'], mine['test'])}
    return found


def of_class(values: Values, dataset: Dataset, label: int) -> Values:
    """The values of the images of one class."""
    return {name: every[getattr(dataset, name).labels == label] for name, every in values.items()}


def moments(values: Float[np.ndarray, ' n']) -> Found:
    """Mean and standard deviation (over n)."""
    return {'mean': float(values.mean(dtype=np.float64)), 'sd': float(values.std(dtype=np.float64))}


def difference(val: Float[np.ndarray, ' n'], test: Float[np.ndarray, ' m']) -> Found:
    """Standardised difference of means, and the two-sample test of Kolmogorov and Smirnov.

    `d` is the difference over the root of the mean of both variances, and None where these are 0.
    """
    from scipy import stats

    a, b = moments(val), moments(test)
    spread = ((a['sd'] ** 2 + b['sd'] ** 2) / 2) ** 0.5
    ks = stats.ks_2samp(val, test)
    return {
        'd': (b['mean'] - a['mean']) / spread if spread else None,
        'ks': float(ks.statistic),
        'p': float(ks.pvalue),
    }
