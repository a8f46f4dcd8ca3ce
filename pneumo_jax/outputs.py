"""What a run leaves: predictions, MedMNIST's result file, figures, report and results."""

import pathlib
import statistics
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from pneumo_jax import files, runtime, weights
from pneumo_jax.data.dataset import SPLITS, Dataset
from pneumo_jax.evaluation import figures, medmnist_csv, metrics, report
from pneumo_jax.training import log, workdir

Arrays = dict[str, np.ndarray]  # of every scored split
Scores = dict[str, metrics.Scores]


def describe(dataset: Dataset) -> dict[str, Any]:
    """What a run folder says of its data."""
    return {
        'title': dataset.title,
        'classes': list(dataset.classes),
        'images': {name: len(getattr(dataset, name)) for name in SPLITS},
        'synthetic': dataset.synthetic,
        'sha256': dataset.digest,
    }


def write(
    folder: pathlib.Path,
    config: ConfigDict,
    dataset: Dataset,
    logits: Arrays,
    labels: Arrays,
    variables: Any,
    meta: weights.Meta,
) -> None:
    """Leave everything in the run folder; with several seeds each has a folder `seed-N` in it.

    Logits have shape [n, k], or [s, n, k] for several seeds, whose mean probability is then the
    folder's own prediction, and whose `variables` are a tuple. `results.json` comes last: where it
    is, the run is finished.
    """
    variables = runtime.on_host(variables)
    meta = {**meta, 'views': config.views}
    model = f'{dataset.title}, {config.model.name}'
    about = {'data': describe(dataset), 'weights': config.weights, 'origin': runtime.provenance()}
    about['test_scored'] = workdir.times_scored(folder, 'test')
    if config.seeds == 1:
        title = f'{model}, seed {config.seed}'
        weights.save(folder / workdir.WEIGHTS, variables, meta)
        scores = _write(folder, title, dataset, logits, labels)
        results: dict[str, Any] = {**scores, **about}
    else:
        seeds = range(config.seed, config.seed + config.seeds)
        each = {}
        for i, seed in enumerate(seeds):
            one = {name: values[i] for name, values in logits.items()}
            place = folder / f'seed-{seed}'
            place.mkdir(exist_ok=True)
            weights.save(place / workdir.WEIGHTS, variables[i], meta)
            each[seed] = _write(place, f'{model}, seed {seed}', dataset, one, labels)
            files.write_json(place / workdir.RESULTS, {**each[seed], **about})
        mean = {name: metrics.ensemble(values) for name, values in logits.items()}
        title = f'{model}, ensemble of seeds {seeds[0]} to {seeds[-1]}'
        together = _write(folder, title, dataset, mean, labels, more=of_seeds(each))
        results = {**means(each), 'seeds': each, 'ensemble': together, **about}
    figures.learning_curves(log.read(folder), title, folder / 'figures' / 'learning_curves.png')
    files.write_json(folder / workdir.RESULTS, results)


def means(each: dict[int, Scores]) -> dict[str, dict[str, float]]:
    """The mean of every score of every split over the seeds."""
    first = next(iter(each.values()))
    return {
        split: {
            name: statistics.fmean(scores[split][name] for scores in each.values())
            for name in first[split]
        }
        for split in first
    }


def of_seeds(each: dict[int, Scores]) -> str:
    """A table of every seed's test scores, their mean and their standard deviation."""
    names = ('auroc', 'accuracy', 'sensitivity', 'specificity')
    rows = np.array([[scores['test'][name] for name in names] for scores in each.values()], float)
    lines = [''.join(f'{head:>13}' for head in ('seed', *names))]
    summary = {'mean': rows.mean(0), 'sd': rows.std(0, ddof=1)}
    for name, row in [*zip(map(str, each), rows, strict=True), *summary.items()]:
        lines.append(f'{name:>13}' + ''.join(f'{value:>13.4f}' for value in row))
    return 'Each seed by itself:\n\n' + '\n'.join(lines) + '\n'


def _write(
    folder: pathlib.Path,
    title: str,
    dataset: Dataset,
    logits: Arrays,
    labels: Arrays,
    more: str = '',
) -> Scores:
    """Everything but the results of one model, or of one ensemble; its scores."""
    for name in logits:
        _write_predictions(folder, name, logits[name], labels[name], dataset)
    _write_figures(folder / 'figures', title, logits, labels, dataset.classes)
    heading = f'Test report: {title} ({len(dataset.test)} images)'
    text = report.text(heading, logits['test'], labels['test'], dataset.classes)
    files.write_text(folder / workdir.REPORT, f'{text}\n{more}' if more else text)
    return {name: metrics.classification(logits[name], labels[name]) for name in logits}


def _write_predictions(
    folder: pathlib.Path, name: str, logits: np.ndarray, labels: np.ndarray, dataset: Dataset
) -> None:
    probabilities = metrics.softmax(logits)
    with files.atomic(folder / f'predictions_{name}.npz') as temporary, temporary.open('wb') as out:
        np.savez(
            out,
            logits=logits,
            probabilities=probabilities,
            labels=labels,
            classes=np.array(dataset.classes),
            data=np.array(dataset.title),
        )
    if dataset.flag and name in SPLITS:
        medmnist_csv.write(
            folder, dataset.flag, dataset.image_shape[0], name, logits, labels, run=folder.name
        )


def _write_figures(
    out: pathlib.Path, title: str, logits: Arrays, labels: Arrays, classes: tuple[str, ...]
) -> None:
    out.mkdir(exist_ok=True)
    both = {name: (logits[name], labels[name]) for name in logits}
    figures.roc(both, classes, title, out / 'roc.png')
    figures.confusion(
        logits['test'], labels['test'], classes, f'{title}, test', out / 'confusion.png'
    )
