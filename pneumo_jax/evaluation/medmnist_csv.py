"""Result files in MedMNIST's own format, which its Evaluator.parse_and_evaluate reads back."""

import pathlib
import re

import numpy as np
from jaxtyping import Float, Int

from pneumo_jax import files
from pneumo_jax.evaluation import metrics


def write(
    folder: pathlib.Path,
    flag: str,
    size: int,
    split: str,
    logits: Float[np.ndarray, 'n k'],
    labels: Int[np.ndarray, ' n'],
    run: str,
) -> pathlib.Path:
    """Writes one line per image, `index,P(class 0),P(class 1)...`, and returns the file's path.

    Images are in the order of the official file. The name is
    `FLAG[_SIZE]_SPLIT_[AUC]0.000_[ACC]0.000@RUN.csv`, where 28 px has no size. MedMNIST ends RUN at
    its first dot, so what is not a letter, digit, `-` or `_` becomes a `-`. Raises UserError where
    the logits hold NaN or infinity.
    """
    scores = metrics.classification(logits, labels)
    stem = f'{flag}_{split}' if size == 28 else f'{flag}_{size}_{split}'
    run = re.sub(r'[^\w-]+', '-', run)
    path = folder / f'{stem}_[AUC]{scores["auroc"]:.3f}_[ACC]{scores["accuracy"]:.3f}@{run}.csv'
    # repr is the shortest text that reads back as the same float64: rounding would make new ties.
    lines = [
        f'{index},{",".join(map(repr, row))}\n'
        for index, row in enumerate(metrics.softmax(logits).tolist())
    ]
    files.write_text(path, ''.join(lines))
    return path
