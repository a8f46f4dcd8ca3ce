"""What a row's runs say together: spread over seeds, intervals over images, tests between rows."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pneumo_jax import errors
from pneumo_jax.evaluation import statistics
from pneumo_jax.sweep import store
from pneumo_jax.sweep.store import Kept
from pneumo_jax.sweep.study import Study

INTERVALS = ('auroc', 'accuracy', 'specificity')


@dataclasses.dataclass(frozen=True)
class Predicted:
    """The test split as a row's seeds see it."""

    probabilities: Float[np.ndarray, 's n']
    labels: Int[np.ndarray, ' n']

    @property
    def ensemble(self) -> Float[np.ndarray, '1 n']:
        """The mean over seeds."""
        return self.probabilities.mean(0, keepdims=True)

    @property
    def right(self) -> np.ndarray:
        """Whether the ensemble decides each image rightly."""
        return (self.ensemble[0] > 0.5) == (self.labels == 1)


@dataclasses.dataclass(frozen=True)
class Summary:
    """One row; without runs all but the names is empty. p are corrected, None without a test."""

    row: str
    note: str
    runs: Sequence[Kept]
    intervals: dict[str, statistics.Interval]
    ensemble: dict[str, float]
    p_auroc: float | None = None
    p_errors: float | None = None

    def scores(self, split: str, name: str) -> Float[np.ndarray, ' s']:
        """A score of every seed."""
        return np.array([run.score(split, name) for run in self.runs])


def recall(found: Sequence[Summary]) -> str:
    """The specificity by the name of the first class: 'Normal recall', also where it has none."""
    lines = [run.line for summary in found for run in summary.runs]
    first = store.data_of(lines[0]['data']).classes[0] if lines else '0'
    return f'{"Normal" if first == "0" else first} recall'


def summaries(study: Study, kept: Sequence[Kept]) -> list[Summary]:
    """Every row of the study, in its order.

    Raises UserError where seeds of one row were scored on different test labels.
    """
    runs = {row: [run for run in kept if run.line['row'] == row] for row in study.rows}
    predicted = {row: _predicted(row, of_row) for row, of_row in runs.items() if of_row}
    found = {row: _summary(study, row, runs[row], predicted.get(row)) for row in study.rows}
    for row, (p_auroc, p_errors) in _tests(predicted, study.baseline).items():
        found[row] = dataclasses.replace(found[row], p_auroc=p_auroc, p_errors=p_errors)
    return list(found.values())


def _predicted(row: str, runs: Sequence[Kept]) -> Predicted:
    splits = [run.splits['test'] for run in runs]
    labels = splits[0][1]
    if not all(np.array_equal(labels, other) for _, other in splits):
        raise errors.UserError(f'row {row!r}: its seeds were scored on different test images.')
    return Predicted(np.stack([probabilities for probabilities, _ in splits]), labels)


def _summary(study: Study, row: str, runs: Sequence[Kept], predicted: Predicted | None) -> Summary:
    note = study.rows[row].note
    if predicted is None:
        return Summary(row, note, runs, {}, {})
    labels = predicted.labels
    intervals = {
        metric: statistics.bootstrap(predicted.probabilities, labels, metric)
        for metric in INTERVALS
    }
    ensemble = {
        metric: statistics.score(predicted.ensemble, labels, metric)
        for metric in statistics.METRICS
    }
    return Summary(row, note, runs, intervals, ensemble)


def _tests(predicted: dict[str, Predicted], baseline: str) -> dict[str, tuple[float, float]]:
    """p of AUROC and of errors, of every row that was scored on the baseline's test images."""
    if baseline not in predicted:
        return {}
    base = predicted[baseline]
    rows = {
        row: own
        for row, own in predicted.items()
        if row != baseline and np.array_equal(own.labels, base.labels)
    }
    of_auroc = [
        statistics.paired_bootstrap(own.probabilities, base.probabilities, base.labels, 'auroc')[-1]
        for own in rows.values()
    ]
    of_errors = [statistics.mcnemar(own.right, base.right) for own in rows.values()]
    corrected = zip(statistics.holm(of_auroc), statistics.holm(of_errors), strict=True)
    return dict(zip(rows, corrected, strict=True))
