"""An audit from the data to its report."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pneumo_jax import files
from pneumo_jax.audit import duplicates, figures, glance, patients, report, scores, shift
from pneumo_jax.data.dataset import SPLITS, Dataset

Found = dict[str, Any]
FIGURES = ('duplicates.png', 'shift.png', 'scores.png')


def audit(dataset: Dataset, runs: Sequence[pathlib.Path], out: pathlib.Path) -> str:
    """Leave audit.json, audit.md and the figures in `out`, and return the report.

    `runs` are folders of finished runs on these data.

    Raises:
      UserError: where a run's predictions cannot be used, or `out` cannot be written to.
    """
    given = {_name(run, runs): scores.read(run, dataset) for run in runs}
    with files.filled(out):
        measures = shift.of_images(dataset)
        found = _found(dataset, measures, given)
        drawn = _draw(dataset, found, measures, given, out)
        files.write_text(out / 'audit.md', report.markdown(found, drawn))
        files.write_json(out / 'audit.json', found)
    return report.text(found)


def _found(
    dataset: Dataset, measures: Mapping[str, shift.Values], given: Mapping[str, shift.Values]
) -> Found:
    return {
        'title': dataset.title,
        'sha256': dataset.digest,
        'prior': {name: _counts(dataset, name) for name in SPLITS},
        'patients': patients.shared(dataset),
        'duplicates': duplicates.find(dataset),
        'glance': glance.scores(dataset),
        'images': {name: shift.by_class(values, dataset) for name, values in measures.items()},
        'score': scores.title(dataset.classes),
        'scores': {run: shift.by_class(p, dataset, half=True) for run, p in given.items()},
    }


def _counts(dataset: Dataset, name: str) -> dict[str, int]:
    counts = np.bincount(getattr(dataset, name).labels, minlength=len(dataset.classes))
    return dict(zip(dataset.classes, counts.tolist(), strict=True))


def _draw(
    dataset: Dataset,
    found: Found,
    measures: Mapping[str, shift.Values],
    given: Mapping[str, shift.Values],
    out: pathlib.Path,
) -> list[str]:
    """Draw what there is to show, remove what an earlier audit showed, and return the names."""
    for name in FIGURES:
        (out / name).unlink(missing_ok=True)
    pairs = found['duplicates']['first']
    if pairs:
        figures.duplicates(dataset, pairs, out / 'duplicates.png')
    figures.images(dataset, measures, out / 'shift.png')
    if given:
        figures.scores(dataset, given, found['score'], out / 'scores.png')
    return [name for name in FIGURES if (out / name).exists()]


def _name(run: pathlib.Path, runs: Sequence[pathlib.Path]) -> str:
    """The folder's name, or its path where two have the same name."""
    alike = [other for other in runs if other.resolve().name == run.resolve().name]
    return run.resolve().name if len(alike) == 1 else str(run)
