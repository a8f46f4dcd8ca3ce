"""The figures of a run, as files."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pneumo_jax import canvas
from pneumo_jax.evaluation import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAMPLES = 5  # of a class
_Scored = tuple[Float[np.ndarray, 'n k'], Int[np.ndarray, ' n']]


def learning_curves(
    history: Sequence[Mapping[str, float | None]], title: str, path: pathlib.Path
) -> None:
    """Loss, and accuracy with AUROC, against the epoch.

    A row has epoch, train_loss, train_accuracy, val_loss, val_accuracy and val_auroc; one that is
    None, or missing, leaves a gap.
    """
    from matplotlib.ticker import MaxNLocator

    figure = canvas.figure(9, 3.8, title)
    left, right = figure.subplots(1, 2)
    epochs = np.array([row['epoch'] for row in history], np.int64)

    def draw(axes: 'Axes', key: str, label: str, **style: Any) -> None:
        values = np.array([row.get(key) for row in history], np.float64)
        marker = 'o' if len(history) <= 30 else ''
        if not np.isnan(values).all():
            axes.plot(epochs, values, label=label, marker=marker, markersize=4, **style)

    draw(left, 'train_loss', 'train', color=canvas.BLUE)
    draw(left, 'val_loss', 'val', color=canvas.RED)
    left.set_ylabel('cross-entropy (nats)')
    draw(right, 'train_accuracy', 'train accuracy', color=canvas.BLUE)
    draw(right, 'val_accuracy', 'val accuracy', color=canvas.RED)
    draw(right, 'val_auroc', 'val AUROC', color=canvas.GREEN, linestyle='--')
    right.set_ylabel('accuracy, AUROC')
    for axes in (left, right):
        canvas.plain(axes)
        axes.set_xlabel('epoch')
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        if axes.lines:
            axes.legend(frameon=False)
    canvas.save(figure, path)


def roc(
    splits: Mapping[str, _Scored],
    classes: Sequence[str],
    title: str,
    path: pathlib.Path,
) -> None:
    """ROC curves from the logits and labels of every split.

    Two classes: a curve per split, and the operating point P = .5. More: a curve per class against
    the rest, of the last split given. A curve the labels leave undefined is left out.
    """
    figure = canvas.figure(5.6 if len(classes) == 2 else 8, 5.4, title)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color='0.7', linewidth=1, linestyle=':')
    if len(classes) == 2:
        _roc_of_splits(axes, splits, classes)
    else:
        _roc_of_classes(axes, *list(splits.items())[-1], classes)
    canvas.plain(axes)
    axes.set(
        xlabel='false positive rate (1 - specificity)',
        ylabel='true positive rate (sensitivity)',
        aspect='equal',
        anchor='N',
    )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    canvas.save(figure, path)


def _roc_of_splits(axes: 'Axes', splits: Mapping[str, _Scored], classes: Sequence[str]) -> None:
    for (name, (logits, labels)), colour in zip(splits.items(), canvas.COLOURS, strict=False):
        roc_curve(axes, metrics.softmax(logits)[:, 1], labels == 1, name, color=colour)
        scores = metrics.classification(logits, labels)
        point = 1 - scores['specificity'], scores['sensitivity']
        axes.plot(*point, 'o', color=colour, markeredgecolor='white', ms=9, zorder=3)
    axes.plot([], [], 'o', color='0.5', ms=8, label='operating point, P = 0.5')
    title = f'{canvas.cut(classes[1])} against {canvas.cut(classes[0])}'
    axes.legend(frameon=False, loc='lower right', title=title, alignment='left')


def _roc_of_classes(axes: 'Axes', name: str, split: _Scored, classes: Sequence[str]) -> None:
    logits, labels = split
    probabilities = metrics.softmax(logits)
    for i, label in enumerate(classes):
        style = {'color': canvas.COLOURS[i % 6], 'linestyle': ('-', '--', ':')[i // 6 % 3]}
        roc_curve(axes, probabilities[:, i], labels == i, canvas.cut(label), **style)
    macro = metrics.classification(logits, labels)['auroc']
    axes.legend(
        frameon=False,
        loc='center left',
        bbox_to_anchor=(1.02, 0.5),
        alignment='left',
        title=f'{name}, one class against the rest\nmacro AUROC {macro:.3f}',
    )


def roc_curve(
    axes: 'Axes',
    scores: Float[np.ndarray, ' n'],
    positive: Bool[np.ndarray, ' n'],
    name: str,
    **style: Any,
) -> None:
    """One curve, with its area in the legend; none where the labels leave it undefined."""
    from sklearn.metrics import roc_curve

    area = metrics.auroc(scores, positive)
    if not math.isnan(area):
        rate, sensitivity, _ = roc_curve(positive, scores)
        axes.plot(rate, sensitivity, label=f'{name}, AUROC {area:.3f}', linewidth=1.8, **style)


def confusion(
    logits: Float[np.ndarray, 'n k'],
    labels: Int[np.ndarray, ' n'],
    classes: Sequence[str],
    title: str,
    path: pathlib.Path,
) -> None:
    """The confusion matrix: counts, and shares of the true class, which also colour the cells."""
    matrix = metrics.confusion_matrix(logits, labels)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = max(1.8 + 0.85 * len(classes), 4.6)
    figure = canvas.figure(side, side, title)
    axes, size = figure.subplots(), 14 if len(classes) == 2 else 10
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1.1)
    for (row, column), count in np.ndenumerate(matrix):
        colour = 'white' if shares[row, column] > 0.7 else 'black' if count else '0.6'
        cell = f'{count}\n{shares[row, column]:.0%}' if count else '0'
        axes.text(column, row, cell, ha='center', va='center', color=colour, fontsize=size)
    names = [canvas.cut(name) for name in classes]
    axes.set_xticks(range(len(classes)), names)
    if max(map(len, names)) * len(names) > 30:
        axes.tick_params('x', rotation=45)
        for tick in axes.get_xticklabels():
            tick.set(horizontalalignment='right', rotation_mode='anchor')
    axes.set_yticks(range(len(classes)), names)
    axes.set(xlabel='predicted', ylabel='true', anchor='N')
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    canvas.save(figure, path)


def samples(
    images: UInt8[np.ndarray, 'n h w c'],
    labels: Int[np.ndarray, ' n'],
    classes: Sequence[str],
    title: str,
    path: pathlib.Path,
) -> None:
    """The first images of every class that has any: a row per class, the last class on top."""
    rows = [i for i in reversed(range(len(classes))) if (labels == i).any()]
    figure = canvas.figure(1.7 * SAMPLES, 1.95 * len(rows), title)
    grid = figure.subplots(len(rows), SAMPLES, squeeze=False)
    for axes in grid.flat:
        axes.axis('off')
    for row, label in zip(grid, rows, strict=True):
        shown = images[np.flatnonzero(labels == label)[:SAMPLES]]
        for axes, image in zip(row, shown, strict=False):
            axes.imshow(image, cmap='gray', vmin=0, vmax=255)
            axes.set_title(canvas.cut(classes[label]), fontsize=10)
    canvas.save(figure, path)
