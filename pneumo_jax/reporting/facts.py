"""All that a report and a model card say of a run, gathered once.

Nothing is scored here: what the run said of val and test was stored when it was scored. What is
fitted is fitted on val.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pneumo_jax import errors, trained
from pneumo_jax.data import groups
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.evaluation import fitted, gather, metrics, sections, tables
from pneumo_jax.evaluation.gather import Seen
from pneumo_jax.training import log, workdir

SCORED = ('val', 'test')


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """`seen` and `found` (of `sections.all_of`) are of val and test; `folders` has one a member.

    `patients` names whose every image of a split is, where that is known.
    """

    loaded: trained.Trained
    folders: tuple[pathlib.Path, ...]
    dataset: Dataset
    fitted: fitted.Fitted
    patients: dict[str, np.ndarray | None]
    seen: dict[str, Seen]
    found: dict[str, dict[str, Any]]
    history: tuple[list[log.Row], ...]
    times_scored: tuple[int, ...]

    @property
    def title(self) -> str:
        """'PneumoniaMNIST 28 px: cnn, seed 0'."""
        return f'{self.dataset.title}: {self.loaded.title}'

    @property
    def binary(self) -> bool:
        """Whether there are two classes, the second of which is the positive one."""
        return len(self.loaded.classes) == 2

    @property
    def official(self) -> str:
        """The name of the MedMNIST set, or '' of other data."""
        config = self.loaded.records[0]['config']['data']
        return '' if config['path'] or self.dataset.synthetic else config['name']

    @property
    def promised(self) -> str:
        """The share of a class that the conformal sets are to hold, '90%'."""
        return tables.percent(1 - self.fitted.alpha)

    def probabilities(self, split: str) -> Float[np.ndarray, 'n k']:
        """Those of the member or the ensemble, at the fitted temperature."""
        return self.fitted.probabilities(self.seen[split].logits)

    def both(self, *keys: str) -> list[Any]:
        """The same entry of what was found on val and on test."""
        values: list[Any] = [self.found[split] for split in SCORED]
        for key in keys:
            values = [value[key] for value in values]
        return values


def gather_facts(runs: Sequence[pathlib.Path], out: pathlib.Path) -> Facts:
    """Everything of finished runs, as one ensemble; `evaluate` may have left its fit in `out`.

    Raises:
        UserError: a folder holds no finished run, its predictions cannot be read, or its data are
            not on this machine.
    """
    loaded = trained.load(*runs)
    folders = tuple(folder for run in runs for folder in workdir.members(run))
    dataset = gather.own_data(loaded)
    told = {split: _told(loaded, split, getattr(dataset, split)) for split in SPLITS}
    seen = {split: _seen(folders, dataset, split, told[split]) for split in SCORED}
    fit = _fit(loaded, dataset, seen['val'], out)
    return Facts(
        loaded=loaded,
        folders=folders,
        dataset=dataset,
        fitted=fit,
        patients={split: told[split].get('patient') for split in SPLITS},
        seen=seen,
        found={split: sections.all_of(loaded, fit, own, None) for split, own in seen.items()},
        history=tuple(log.read(workdir.home(run)) for run in runs),
        times_scored=tuple(workdir.times_scored(run, 'test') for run in runs),
    )


def _told(loaded: trained.Trained, name: str, split: Split) -> dict[str, np.ndarray]:
    """Patients and kinds of a split's images, as far as they are known."""
    table = gather.table_of(loaded.records[0]['config']['data'], name)
    own = {} if split.groups is None else {'patient': split.groups}
    return own | (groups.columns(table, name, split.labels) if table else {})


def _seen(
    folders: Sequence[pathlib.Path], dataset: Dataset, name: str, told: dict[str, np.ndarray]
) -> Seen:
    split: Split = getattr(dataset, name)
    logits, labels = trained.predictions(folders, name)
    if not np.array_equal(labels, split.labels) or logits.shape[2] != len(dataset.classes):
        raise errors.UserError(
            f'{folders[0]}/predictions_{name}.npz is not of the {name} images of '
            f'{dataset.title}: remove the run folder to train anew.'
        )
    return Seen(
        title=dataset.title,
        split=name,
        external=False,
        images=split.images,
        labels=split.labels,
        patients=told.get('patient'),
        kinds=told.get('kind'),
        members=logits,
        dropout=None,
    )


def _fit(loaded: trained.Trained, dataset: Dataset, val: Seen, out: pathlib.Path) -> fitted.Fitted:
    """What `evaluate` left in `out` or beside these weights, or the same fitted now."""
    weights = fitted.fingerprints(loaded.runs)
    earlier = fitted.read(out, weights) or fitted.read(loaded.runs[0], weights)
    return earlier or fitted.fit(loaded, dataset, val.logits)


def alone(facts: Facts, split: str) -> list[metrics.Scores]:
    """The scores of every member by itself, in the order of `folders`."""
    seen = facts.seen[split]
    return [metrics.classification(logits, seen.labels) for logits in seen.members]
