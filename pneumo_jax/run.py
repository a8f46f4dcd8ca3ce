"""One run from its config to its report: data, model, training, scoring, and what it leaves."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from pneumo_jax import config as configs
from pneumo_jax import data, files, models, runtime
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import figures, medmnist_csv, metrics, report
from pneumo_jax.training import log, loop, workdir

Logits = dict[str, np.ndarray]  # of every scored split
SCORED = ('val', 'test')


def run(config: ConfigDict, folder: pathlib.Path) -> None:
    """Train what `config` says, or go on with it, and leave its results in `folder`.

    A finished run prints its report again.

    Raises:
        UserError: the config, the data or the folder cannot be used, or training diverged.
    """
    say = tqdm.write if runtime.is_main() else _silent
    workdir.check(folder, config)
    if _told(folder, say):
        return
    dataset = data.load(**config.data)
    if dataset.synthetic and config.data.name != 'synthetic':
        config, folder = _as_synthetic(config, folder)
        workdir.check(folder, config)
        if _told(folder, say):
            return
    loop.plan_of(config, len(dataset.train))  # a mistake must not claim the folder
    with workdir.locked(folder) if runtime.is_main() else contextlib.nullcontext():
        if runtime.is_main():
            workdir.claim(folder, config, describe(dataset), runtime.provenance())
        say(f'{dataset.title}; run folder {folder}')
        _train_and_score(config, folder, dataset, say)


def _told(folder: pathlib.Path, say: Callable[[str], None]) -> bool:
    """Whether the run is finished; if so, its report is printed."""
    finished = (folder / workdir.RESULTS).exists()
    if finished:
        say(f'{folder} is finished. Its report:\n\n{(folder / workdir.REPORT).read_text()}')
    return finished


def describe(dataset: Dataset) -> dict[str, Any]:
    """What a run folder says of its data."""
    splits = {name: len(getattr(dataset, name)) for name in ('train', *SCORED)}
    return {
        'title': dataset.title,
        'classes': list(dataset.classes),
        'images': splits,
        'synthetic': dataset.synthetic,
        'sha256': dataset.digest,
    }


def _train_and_score(
    config: ConfigDict, folder: pathlib.Path, dataset: Dataset, say: Callable[[str], None]
) -> None:
    preprocess = Preprocess(*dataset.image_shape)
    model = models.create(**config.model, num_classes=len(dataset.classes))
    variables, logits = loop.fit(
        config,
        model,
        preprocess,
        train=dataset.train,
        val=dataset.val,
        folder=folder,
        meta={
            'model': configs.to_json(config)['model'],
            'classes': list(dataset.classes),
            'preprocess': dataclasses.asdict(preprocess),
        },
        say=say,
        prefix='[synthetic] ' if dataset.synthetic else '',
    )
    scored = {name: logits(variables, getattr(dataset, name).images) for name in SCORED}
    if runtime.is_main():
        write(folder, config, dataset, scored)
        say(f'\n{(folder / workdir.REPORT).read_text()}\nEverything is in {folder}')


def write(folder: pathlib.Path, config: ConfigDict, dataset: Dataset, logits: Logits) -> None:
    """Leave predictions, MedMNIST's result file, figures, report and results in the run folder.

    `results.json` comes last: where it is, the run is finished.
    """
    labels = {name: getattr(dataset, name).labels for name in logits}
    for name in logits:
        _write_predictions(folder, name, logits[name], labels[name], dataset)
    title = f'{dataset.title}, {config.model.name}, seed {config.seed}'
    _write_figures(folder, title, logits, labels, dataset.classes)
    heading = f'Test report: {title} ({len(dataset.test)} images)'
    text = report.text(heading, logits['test'], dataset.test.labels, dataset.classes)
    files.write_text(folder / workdir.REPORT, text)
    scores = {name: metrics.classification(logits[name], labels[name]) for name in logits}
    about = {'data': describe(dataset), 'weights': config.weights, 'origin': runtime.provenance()}
    files.write_json(folder / workdir.RESULTS, {**scores, **about})


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
    if dataset.flag:
        medmnist_csv.write(
            folder, dataset.flag, dataset.image_shape[0], name, logits, labels, run=folder.name
        )


def _write_figures(
    folder: pathlib.Path,
    title: str,
    logits: Logits,
    labels: dict[str, np.ndarray],
    classes: tuple[str, ...],
) -> None:
    out = folder / 'figures'
    out.mkdir(exist_ok=True)
    figures.learning_curves(log.read(folder), title, out / 'learning_curves.png')
    both = {name: (logits[name], labels[name]) for name in logits}
    figures.roc(both, classes, title, out / 'roc.png')
    figures.confusion(
        logits['test'], labels['test'], classes, f'{title}, test', out / 'confusion.png'
    )


def _as_synthetic(config: ConfigDict, folder: pathlib.Path) -> tuple[ConfigDict, pathlib.Path]:
    """The run that the fallback makes: its own config and folder, so that it is never mistaken."""
    config = config.copy_and_resolve_references()
    config.data.update({'name': 'synthetic', 'fallback': ''})
    return config.lock(), folder.with_name(f'{folder.name}-synthetic')


def _silent(line: str) -> None:
    """What the other processes of a job say."""
