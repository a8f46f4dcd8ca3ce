"""The figures of an evaluation: calibration, ROC and PR with bands, scores, rejection, coverage."""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from pneumo_jax import canvas
from pneumo_jax.evaluation import (
    calibration,
    conformal,
    scores,
    sections,
    statistics,
    tables,
    uncertainty,
)
from pneumo_jax.evaluation.fitted import Fitted
from pneumo_jax.evaluation.gather import Seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = np.linspace(0, 1, 201)  # of false positive rates and recalls, where bands are drawn


def draw(
    folder: pathlib.Path, name: str, found: Mapping[str, Any], fitted: Fitted, seen: Seen
) -> list[str]:
    """Draw everything there is to show into `folder`, and return the files' names."""
    folder.mkdir(exist_ok=True)
    title = tables.heading(found)
    probabilities = fitted.probabilities(seen.logits)
    drawn = {
        'reliability': lambda path: reliability(fitted, seen, title, path),
        'rejection': lambda path: rejection(seen, probabilities, title, path),
        'conformal': lambda path: coverage(fitted, seen, probabilities, title, path),
    }
    if len(fitted.classes) == 2:
        drawn['roc_pr'] = lambda path: ranking(seen, probabilities[:, 1], title, path)
        drawn['scores'] = lambda path: distributions(fitted, seen, probabilities, title, path)
    for stem, figure in drawn.items():
        figure(folder / f'{name}_{stem}.png')
    return [f'{name}_{stem}.png' for stem in drawn]


def reliability(fitted: Fitted, seen: Seen, title: str, path: pathlib.Path) -> None:
    """A diagram for every calibration: how often what is said with confidence is so."""
    versions = sections.versions(fitted, seen.logits)
    figure = canvas.figure(3.6 * len(versions), 4.6, title)
    grid = figure.subplots(2, len(versions), sharex=True, sharey='row', height_ratios=(3, 1))
    for (top, bottom), (name, probabilities) in zip(grid.T, versions.items(), strict=True):
        pair = calibration.judged(probabilities, seen.labels)
        bins = calibration.reliability(*pair)
        edges = np.arange(calibration.BINS) / calibration.BINS
        width = 1 / calibration.BINS
        top.plot([0, 1], [0, 1], color='0.6', linewidth=1, linestyle=':')
        low, high = _intervals(bins)
        top.vlines(bins.confidence, low, high, color=canvas.COLOURS[0], alpha=0.5)
        top.plot(bins.confidence, bins.frequency, 'o', color=canvas.COLOURS[0], markersize=5)
        top.set_title(f'{name}: ECE {calibration.ece(*pair):.3f}', fontsize=11)
        bottom.bar(edges, bins.count, width, align='edge', color='0.7', edgecolor='white')
        canvas.of_counts(bottom)
        binary = len(fitted.classes) == 2
        bottom.set_xlabel(f'P({fitted.classes[1]})' if binary else 'P(most probable class)')
        canvas.plain(top)
        canvas.plain(bottom)
    grid[0, 0].set_ylabel('frequency, with 95 % intervals')
    grid[1, 0].set_ylabel('images')
    canvas.save(figure, path)


def _intervals(bins: calibration.Reliability) -> tuple[list[float], list[float]]:
    hits = np.nan_to_num(bins.frequency * bins.count).round().astype(int)
    told = [statistics.share(int(k), int(n)) for k, n in zip(hits, bins.count, strict=True)]
    return [low for _, low, _ in told], [high for _, _, high in told]


def ranking(
    seen: Seen, probabilities: Float[np.ndarray, ' n'], title: str, path: pathlib.Path
) -> None:
    """ROC and precision-recall curves, with pointwise 95 % bands of the bootstrap."""
    positive = seen.labels == 1
    drawn = statistics.drawn(seen.labels, sections.RESAMPLES, 0, seen.patients)
    every = np.ones((1, len(positive)))
    auroc, precision = (x[0] for x in scores.areas(probabilities, positive, every))
    figure = canvas.figure(9.4, 4.9, title)
    left, right = figure.subplots(1, 2)
    one, many = (
        _on_grid(*scores.counts(probabilities, positive, weights)) for weights in (every, drawn)
    )
    _band(left, one[0][0], many[0], f'AUROC {auroc:.3f}')
    _band(right, one[1][0], many[1], f'average precision {precision:.3f}')
    left.plot([0, 1], [0, 1], color='0.6', linewidth=1, linestyle=':')
    right.axhline(positive.mean(), color='0.6', linewidth=1, linestyle=':')
    left.set(xlabel='false positive rate (1 - specificity)', ylabel='sensitivity')
    right.set(xlabel='recall (sensitivity)', ylabel='precision (PPV)')
    for axes in (left, right):
        canvas.plain(axes)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.legend(frameon=False, loc='lower right')
    canvas.save(figure, path)


def _on_grid(
    hits: Float[np.ndarray, 'r t'], alarms: Float[np.ndarray, 'r t']
) -> tuple[Float[np.ndarray, 'r g'], Float[np.ndarray, 'r g']]:
    """Sensitivity at every false positive rate of `GRID`, and precision at every recall."""
    roc, precision = [], []
    for hit, alarm in zip(hits, alarms, strict=True):
        recall = hit / hit[-1]
        roc.append(np.interp(GRID, np.append(0, alarm / alarm[-1]), np.append(0, recall)))
        reached = np.minimum(np.searchsorted(recall, GRID), len(recall) - 1)
        # A resample can lack the images of the highest scores.
        precision.append((hit / np.maximum(hit + alarm, 1e-12))[reached])
    return np.array(roc), np.array(precision)


def _band(
    axes: 'Axes', one: Float[np.ndarray, ' g'], many: Float[np.ndarray, 'r g'], label: str
) -> None:
    low, high = np.percentile(many, statistics.LEVEL, 0)
    axes.fill_between(GRID, low, high, color=canvas.COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(GRID, one, color=canvas.COLOURS[0], linewidth=1.8, label=label)


def distributions(
    fitted: Fitted,
    seen: Seen,
    probabilities: Float[np.ndarray, 'n k'],
    title: str,
    path: pathlib.Path,
) -> None:
    """Histograms of P(class 1), a row a class (or kind), with both thresholds."""
    groups = {name: seen.labels == i for i, name in enumerate(fitted.classes)}
    if seen.kinds is not None:
        groups = {kind: seen.kinds == kind for kind in sorted({*seen.kinds.tolist()} - {''})}
    figure = canvas.figure(6.4, 0.9 + 1.5 * len(groups), title)
    rows = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, own), colour in zip(rows, groups.items(), canvas.COLOURS * 9, strict=False):
        axes.hist(probabilities[own, 1], np.linspace(0, 1, 41).tolist(), color=colour, alpha=0.7)
        canvas.of_counts(axes)
        axes.axvline(0.5, color='0.3', linewidth=1, linestyle=':')
        axes.axvline(fitted.threshold, color='0.3', linewidth=1, linestyle='--')
        axes.set_ylabel(f'{canvas.cut(name)}\n{own.sum():,} images', fontsize=9)
        canvas.plain(axes)
    text = f'P({fitted.classes[1]}); dotted .5, dashed the operating point'
    rows[-1].set_xlabel(text)
    canvas.save(figure, path)


def rejection(
    seen: Seen, probabilities: Float[np.ndarray, 'n k'], title: str, path: pathlib.Path
) -> None:
    """Accuracy against the share of the images that is judged."""
    right: Bool[np.ndarray, ' n'] = probabilities.argmax(1) == seen.labels
    figure = canvas.figure(6.4, 4.6, title)
    axes = figure.subplots()
    for (name, doubt), colour in zip(
        sections.doubts(seen, probabilities).items(), canvas.COLOURS, strict=False
    ):
        curve = uncertainty.rejection(doubt, right)
        few = curve.kept >= 0.1  # a share of fewer images jumps
        label = f'{name}, area {curve.area:.4f}'
        axes.plot(1 - curve.kept[few], curve.accuracy[few], color=colour, label=label)
    axes.axhline(right.mean(), color='0.6', linewidth=1, linestyle=':', label='none rejected')
    axes.set(xlabel='share of the images rejected, the most doubtful first', ylabel='accuracy')
    axes.legend(frameon=False, fontsize=9)
    canvas.plain(axes)
    canvas.save(figure, path)


def coverage(
    fitted: Fitted,
    seen: Seen,
    probabilities: Float[np.ndarray, 'n k'],
    title: str,
    path: pathlib.Path,
) -> None:
    """How often sets hold the true class, and how often several, against what is stated."""
    levels = np.array(fitted.levels)
    held = [conformal.sets(probabilities, row[1:]) for row in levels]
    strict = [conformal.strict(probabilities, row[1:]) for row in levels]
    figure = canvas.figure(9.4, 4.4, title)
    left, right = figure.subplots(1, 2)
    stated = 1 - levels[:, 0]
    left.plot(stated, stated, color='0.6', linewidth=1, linestyle=':', label='as stated')
    for label, (name, colour) in enumerate(zip(fitted.classes, canvas.COLOURS * 9, strict=False)):
        own = seen.labels == label
        if not own.any():  # other data may lack a class
            continue
        for axes, values in (
            (left, [sets[own, label].mean() for sets in held]),
            (right, [(sets[own].sum(1) > 1).mean() for sets in held]),
        ):
            axes.plot(stated, values, 'o-', color=colour, label=canvas.cut(name), markersize=4)
        values = [sets[own, label].mean() for sets in strict]
        left.plot(stated, values, '--', color=colour, linewidth=1)
    left.plot([], [], '--', color='black', linewidth=1, label='with empty sets left empty')
    left.set(xlabel='stated coverage', ylabel=f'coverage reached on {seen.split}')
    right.set(xlabel='stated coverage', ylabel='share with several classes: ask a radiologist')
    for axes in (left, right):
        asked = f'asked for: {1 - fitted.alpha:g}'
        axes.axvline(1 - fitted.alpha, color='0.6', linewidth=1, linestyle='-.', label=asked)
        canvas.plain(axes)
    figure.legend(
        *left.get_legend_handles_labels(), loc='outside lower center', ncols=5, frameon=False
    )
    canvas.save(figure, path)
