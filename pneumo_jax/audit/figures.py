"""The pairs, the measures and the scores as figures."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pneumo_jax import canvas
from pneumo_jax.audit import shift
from pneumo_jax.audit.shift import MEASURES, Values
from pneumo_jax.data.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {'train': '#999999', 'val': canvas.BLUE, 'test': canvas.RED}
ACROSS = 4  # pairs beside each other
Found = dict[str, Any]


def duplicates(dataset: Dataset, pairs: Sequence[Found], path: pathlib.Path) -> None:
    """The images of every pair side by side."""
    columns = min(ACROSS, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = canvas.figure(3.1 * columns, 0.6 + 1.95 * rows, f'{dataset.title}: duplicates')
    for block, pair in zip(
        figure.subfigures(rows, columns, squeeze=False).flat, pairs, strict=False
    ):
        r = 'same bytes' if pair['kind'] == 'exact' else f'correlation {pair["correlation"]:.3f}'
        patient = {None: '', True: ', same patient', False: ', two patients'}[pair['same_patient']]
        block.suptitle(r + patient, fontsize=9)
        for axes, image in zip(block.subplots(1, 2), pair['images'], strict=True):
            pixels = getattr(dataset, image['split']).images[image['index']]
            axes.imshow(pixels, cmap='gray', vmin=0, vmax=255)
            axes.set_title(
                f'{image["split"]} {image["index"]}\n{canvas.cut(image["class"])}', fontsize=8
            )
            axes.axis('off')
    canvas.save(figure, path)


def images(dataset: Dataset, measures: Mapping[str, Values], path: pathlib.Path) -> None:
    """Histograms of every measure: a row a class, a curve a split."""
    classes = len(dataset.classes)
    figure = canvas.figure(3.6 * len(measures), 0.7 + 2.3 * classes, dataset.title)
    grid = figure.subplots(classes, len(measures), sharex='col', squeeze=False)
    for column, (name, values) in enumerate(measures.items()):
        pooled = np.concatenate(list(values.values()))
        low, high = np.percentile(pooled, [0.2, 99.8])
        edges = np.linspace(low, max(high, low + 1e-6), 21)
        for label, axes in enumerate(grid[:, column]):
            _histograms(axes, shift.of_class(values, dataset, label), edges)
            axes.set_ylabel(canvas.cut(dataset.classes[label]) if column == 0 else '')
        grid[0, column].set_title(name, fontsize=11)
        grid[-1, column].set_xlabel(MEASURES[name].replace(' over ', '\nover '), fontsize=8)
    grid[0, -1].legend(frameon=False, fontsize=9)
    figure.supylabel('share of the images of a class', fontsize=10)
    canvas.save(figure, path)


def scores(dataset: Dataset, runs: Mapping[str, Values], label: str, path: pathlib.Path) -> None:
    """Histograms of the probabilities: a row a class, a column a run."""
    classes = dataset.classes
    figure = canvas.figure(1 + 3.6 * len(runs), 0.7 + 2.3 * len(classes), dataset.title)
    grid = figure.subplots(len(classes), len(runs), sharex=True, sharey=True, squeeze=False)
    for column, (run, values) in zip(grid.T, runs.items(), strict=True):
        for number, axes in enumerate(column):
            of_class = shift.of_class(values, dataset, number)
            _histograms(axes, of_class, np.linspace(0, 1, 21), half=True)
            axes.axvline(0.5, ymax=0.7, color='0.6', linewidth=1, linestyle=':')
            axes.legend(frameon=False, fontsize=9, loc='upper center')
        column[0].set_title(canvas.cut(run), fontsize=11)
        column[-1].set_xlabel(label)
    for name, axes in zip(classes, grid[:, 0], strict=True):
        axes.set_ylabel(canvas.cut(name))
    figure.supylabel('share of the images of a class', fontsize=10)
    canvas.save(figure, path)


def _histograms(
    axes: 'Axes', of_class: Values, edges: Float[np.ndarray, ' e'], half: bool = False
) -> None:
    """The share of the images in every bin, split by split; the outer bins take what is beyond."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for split, values in of_class.items():
        filled = split == 'train'
        axes.hist(
            np.clip(values, edges[0], edges[-1]),
            edges.tolist(),
            weights=np.full(len(values), 1 / len(values)),
            histtype='stepfilled' if filled else 'step',
            alpha=0.35 if filled else 1,
            linewidth=0 if filled else 1.6,
            color=COLOURS[split],
            label=f'{split}, {(values > 0.5).mean():.1%} above .5' if half else split,
        )
    axes.spines[['top', 'right']].set_visible(False)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(4))
