"""How far one gets at a glance: what no anatomy is needed for."""

from typing import Any

import numpy as np

from pneumo_jax.data import look
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.evaluation import metrics

Found = dict[str, Any]
MEANING = (
    'A logistic regression on the gray levels of a thumbnail of 4 x 4 pixels and on the mean step\n'
    'between neighbouring pixels, fitted to train. What it tells, a model may learn instead of\n'
    'the illness.'
)


def scores(dataset: Dataset) -> Found:
    """AUROC, accuracy and the recall of every class that `look.classifier` has on val and test."""
    model = look.classifier().fit(look.features(dataset.train.images), dataset.train.labels)
    return {name: _scores(model, getattr(dataset, name), dataset) for name in ('val', 'test')}


def _scores(model: Any, split: Split, dataset: Dataset) -> Found:
    told = model.predict_proba(look.features(split.images))
    logits = np.log(told + np.finfo(told.dtype).tiny)
    found = metrics.classification(logits, split.labels)
    matrix = metrics.confusion_matrix(logits, split.labels)
    recall = (np.diag(matrix) / matrix.sum(1)).tolist()
    return {
        'auroc': found['auroc'],
        'accuracy': found['accuracy'],
        'recall': dict(zip(dataset.classes, recall, strict=True)),
    }
