"""Whether an image looks like its class at a glance: no anatomy, only light, framing, sharpness."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

SIDE = 4  # of the thumbnail
FOLDS = 5
CHUNK = 256  # images that are looked at together


def own_class(
    images: UInt8[np.ndarray, 'n h w c'],
    labels: Int[np.ndarray, ' n'],
    groups: Int[np.ndarray, ' n'],
    seed: int,
) -> Float[np.ndarray, ' n']:
    """The probability of every image's own class by its look, told by other groups' images.

    A logistic regression on `features`, cross-fitted: an image is scored by the one of `FOLDS` that
    has seen nothing of its group (its patient). Where it is small the look speaks for another
    class, and who goes by it is wrong: a bias-conflicting image (Nam et al. 2020,
    arXiv:2007.02561).
    """
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    told = cross_val_predict(
        classifier(), features(images), labels, groups=groups, cv=folds, method='predict_proba'
    )
    return told[np.arange(len(labels)), np.unique(labels, return_inverse=True)[1]]


def classifier() -> Any:
    """scikit-learn's logistic regression on standardised features, not fitted."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def features(images: UInt8[np.ndarray, 'n h w c']) -> Float[np.ndarray, 'n k']:
    """The gray levels of a thumbnail, and `log1p` of the mean steps between neighbours."""
    starts = range(0, len(images), CHUNK)
    return np.concatenate([_features(images[start : start + CHUNK]) for start in starts])


def _features(images: UInt8[np.ndarray, 'n h w c']) -> Float[np.ndarray, 'n k']:
    gray = images.mean(-1, dtype=np.float32)
    steps = np.zeros(len(gray), np.float32)
    for axis in (1, 2):
        if gray.shape[axis] > 1:
            steps += np.abs(np.diff(gray, axis=axis)).mean((1, 2))
    small = _shrunk(_shrunk(gray).transpose(0, 2, 1))
    return np.column_stack([small.reshape(len(small), -1), np.log1p(steps)])


def _shrunk(gray: Float[np.ndarray, 'n h w']) -> Float[np.ndarray, 'n side w']:
    """The means of `SIDE` strips, as equal as they can be; of every row where there are fewer."""
    height = gray.shape[1]
    strips = np.array_split(np.arange(height), min(SIDE, height))
    return np.stack([gray[:, strip].mean(1) for strip in strips], 1)
