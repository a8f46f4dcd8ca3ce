"""The figures of a report, each as PNG and as SVG."""

import functools
import pathlib
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from pneumo_jax import canvas
from pneumo_jax.evaluation import curves, figures
from pneumo_jax.reporting import mistakes
from pneumo_jax.reporting.facts import SCORED, Facts

FORMATS = ('.png', '.svg')
EDGES = np.linspace(0, 1, 41).tolist()
Draw = Callable[[pathlib.Path], None]


def draw(facts: Facts, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Draw everything into `folder`; the path of each figure, without its ending, by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {**_of_training(facts), **_of_scores(facts)}
    for name, figure in tqdm(wanted.items(), desc='figures', disable=None, leave=False):
        for ending in FORMATS:
            figure(folder / f'{name}{ending}')
    which = mistakes.surest(facts.probabilities('test'), facts.seen['test'].labels)
    drawn = list(wanted)
    if len(which):
        mistakes.draw(facts, which, [folder / f'mistakes{ending}' for ending in FORMATS])
        drawn.append('mistakes')
    return {name: folder / name for name in drawn}


def _of_training(facts: Facts) -> dict[str, Draw]:
    train, classes = facts.dataset.train, facts.loaded.classes
    found: dict[str, Draw] = {
        'samples': functools.partial(
            figures.samples, train.images, train.labels, classes, f'{facts.dataset.title}, train'
        )
    }
    for number, (run, rows) in enumerate(zip(facts.loaded.runs, facts.history, strict=True), 1):
        if rows:
            title = f'{facts.dataset.title}, {run.resolve().name}'
            found[f'learning_curves_{number}'] = functools.partial(
                figures.learning_curves, rows, title
            )
    return found


def _of_scores(facts: Facts) -> dict[str, Draw]:
    found: dict[str, Draw] = {}
    for split in SCORED:
        seen, probabilities = facts.seen[split], facts.probabilities(split)
        title, fit = f'{facts.title}, {split}', facts.fitted
        drawn: dict[str, Draw] = {
            'confusion': functools.partial(
                figures.confusion, seen.logits, seen.labels, facts.loaded.classes, title
            ),
            'reliability': functools.partial(curves.reliability, fit, seen, title),
        }
        if facts.binary:
            drawn['roc_pr'] = functools.partial(curves.ranking, seen, probabilities[:, 1], title)
            drawn['scores'] = functools.partial(
                curves.distributions, fit, seen, probabilities, title
            )
        else:
            own = {split: (seen.logits, seen.labels)}
            drawn['roc'] = functools.partial(figures.roc, own, facts.loaded.classes, title)
            drawn['scores'] = functools.partial(_of_true_class, facts, split, title)
        if split == 'test':
            drawn['rejection'] = functools.partial(curves.rejection, seen, probabilities, title)
            drawn['conformal'] = functools.partial(curves.coverage, fit, seen, probabilities, title)
        found |= {f'{name}_{split}': figure for name, figure in drawn.items()}
    return found


def _of_true_class(facts: Facts, split: str, title: str, path: pathlib.Path) -> None:
    """Histograms of the probability that the true class was given, a row a class."""
    labels, names = facts.seen[split].labels, facts.loaded.classes
    own = facts.probabilities(split)[np.arange(len(labels)), labels]
    figure = canvas.figure(6.4, 0.9 + 1.2 * len(names), title)
    rows = figure.subplots(len(names), 1, sharex=True)
    for label, (axes, name) in enumerate(zip(rows, names, strict=True)):
        axes.hist(own[labels == label], EDGES, color=canvas.COLOURS[0], alpha=0.7)
        axes.set_ylabel(f'{canvas.cut(name)}\n{(labels == label).sum():,} images', fontsize=9)
        canvas.plain(axes)
    rows[-1].set_xlabel('P(true class)')
    canvas.save(figure, path)
