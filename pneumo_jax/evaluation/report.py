"""The test report as text."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pneumo_jax.evaluation import metrics

_WIDEST_COLUMN = 14


def text(
    title: str,
    logits: Float[np.ndarray, 'n k'],
    labels: Int[np.ndarray, ' n'],
    classes: Sequence[str],
) -> str:
    """The test report: accuracy, scikit-learn's classification report, scores, confusion matrix.

    Raises UserError where the logits hold NaN or infinity.
    """
    from sklearn.metrics import classification_report

    scores = metrics.classification(logits, labels)
    table = classification_report(
        labels,
        metrics.softmax(logits).argmax(1),
        labels=range(len(classes)),
        target_names=classes,
        zero_division=0,
    )
    parts = [
        f'{title}\n{"=" * len(title)}',
        f'Test Accuracy: {scores["accuracy"]:.2%}',
        table.rstrip('\n'),
        _scores(scores, classes),
        'Confusion matrix (rows true, columns predicted):',
        _matrix(metrics.confusion_matrix(logits, labels), classes),
    ]
    return '\n\n'.join(parts) + '\n'


def _scores(scores: metrics.Scores, classes: Sequence[str]) -> str:
    binary = len(classes) == 2
    how = f'{classes[1]} is positive' if binary else 'mean of one class against the rest'
    rows = {
        'AUROC': (scores['auroc'], how),
        'Sensitivity': (scores['sensitivity'], how),
        'Specificity': (scores['specificity'], how),
        'Balanced accuracy': (scores['balanced_accuracy'], 'mean recall over classes'),
    }
    return '\n'.join(
        f'{name:<19}{"undefined" if math.isnan(value) else f"{value:.4f}":<11}({meaning})'
        for name, (value, meaning) in rows.items()
    )


def _matrix(matrix: Int[np.ndarray, 'k k'], classes: Sequence[str]) -> str:
    heads = [_cut(name) for name in classes]
    left = max(map(len, classes))
    right = 2 + max(len(cell) for cell in [*heads, *map(str, matrix.flat)])
    lines = [' ' * left + ''.join(f'{head:>{right}}' for head in heads)]
    for name, row in zip(classes, matrix, strict=True):
        lines.append(f'{name:<{left}}' + ''.join(f'{count:>{right}}' for count in row))
    return '\n'.join(lines)


def _cut(name: str) -> str:
    return name if len(name) <= _WIDEST_COLUMN else name[: _WIDEST_COLUMN - 1] + '…'
