"""An evaluation of made-up predictions."""

import pathlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.evaluation import fitted, gather

NAMES = ('well', 'mild', 'ill', 'odd')

MadeUp = Callable[[int], tuple[Any, fitted.Fitted, gather.Seen]]


@pytest.fixture
def made_up(tmp_path: pathlib.Path) -> MadeUp:
    """Of so many classes: a run of two members, what val fits, and a test split seen by both."""

    def make(classes: int) -> tuple[Any, fitted.Fitted, gather.Seen]:
        (train, _), (val, logits), (test, members) = (
            split_of(n, classes, n) for n in (90, 120, 150)
        )
        (tmp_path / 'model.safetensors').write_bytes(b'of no matter here')
        loaded = SimpleNamespace(
            classes=NAMES[:classes],
            title='made up',
            runs=(tmp_path,),
            members=(None, None),
            records=[{'config': {'loss': {'class_weights': False, 'logit_adjustment': 0.0}}}],
        )
        dataset = Dataset('noise', NAMES[:classes], train, val, test)
        fit = fitted.fit(loaded, dataset, logits[0])  # type: ignore[arg-type]
        seen = gather.Seen(
            'noise', 'test', False, test.images, test.labels, None, None, members, members[::-1]
        )
        return loaded, fit, seen

    return make


def split_of(count: int, classes: int, seed: int) -> tuple[Split, np.ndarray]:
    """Images of noise, and logits that tell their labels in part."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.integers(0, 256, (count, 12, 12, 1), np.uint8)
    logits = rng.normal(size=(2, count, classes)) + 2 * np.eye(classes)[labels]
    return Split(images, labels), logits
