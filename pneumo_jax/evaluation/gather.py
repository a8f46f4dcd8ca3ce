"""What `evaluate` looks at: a split's images, labels, patients and kinds, and a run's logits."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from pneumo_jax import data, errors, files, runtime
from pneumo_jax.data import external, groups, medmnist
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.evaluation import mc_dropout, metrics, scoring
from pneumo_jax.trained import Trained

BATCH = 128
SAMPLES = 20  # of Monte Carlo dropout, over all members


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """A split with what the members say of it. `patients` and `kinds` are None where not told."""

    title: str
    split: str
    external: bool  # other data than the run's own
    images: UInt8[np.ndarray, 'n h w c']
    labels: Int[np.ndarray, ' n']
    patients: np.ndarray | None
    kinds: np.ndarray | None
    members: Float[np.ndarray, 'm n k']
    dropout: Float[np.ndarray, 's n k'] | None

    @property
    def logits(self) -> Float[np.ndarray, 'n k']:
        """Those of the one member, or of the ensemble."""
        return metrics.ensemble(self.members)


def own_data(trained: Trained) -> Dataset:
    """The data of the runs, checked to be the same images and labels.

    Raises:
        UserError: they are not on this machine, or are others.
    """
    dataset = data.load(**trained.records[0]['config']['data'])
    for run, record in zip(trained.runs, trained.records, strict=True):
        there = record['data']['sha256']
        if dataset.digest != there:
            raise errors.UserError(
                f'{dataset.title} here is not what {run} was trained on (SHA-256 '
                f'{dataset.digest[:12]} here, {there[:12]} there): restore those data, or score '
                'other ones with `evaluate --data`.'
            )
    return dataset


def look(
    trained: Trained,
    split: str,
    *,
    dataset: Dataset | None = None,
    path: pathlib.Path | None = None,
    table: pathlib.Path | None = None,
) -> Seen:
    """A split of `dataset`, or of the data in `path`, with the logits of every member.

    `table` is a csv as `groups.read` takes it; without it that of the run's own data is used.

    Raises:
        UserError: the data or the table cannot be used, or are not what the model takes.
    """
    if path is not None:
        shape, title = trained.preprocess.image_shape, path.name
        part, given = external.load(path, split, shape, trained.classes)
    else:
        assert dataset is not None
        part, title = getattr(dataset, split), dataset.title
        given = part.labels
        table = table or table_of(trained.records[0]['config']['data'], split)
    told = groups.columns(table, split, given) if table else {}
    trained.preprocess.unit(part.images[:1])  # refuses other sizes and channels
    return Seen(
        title=title,
        split=split,
        external=path is not None,
        images=part.images,
        labels=part.labels,
        patients=told.get('patient', part.groups),
        kinds=told.get('kind'),
        members=each(trained, part.images, split),
        dropout=dropped(trained, part.images, split),
    )


def table_of(config: dict[str, Any], split: str) -> pathlib.Path | None:
    """The table of patients of a run's data, where it describes `split` as the run sees it."""
    if config['limit'] or (config['val'] != 'official' and split != 'test'):
        return None
    if config['groups']:
        return files.expanded(config['groups'])
    if config['path'] or config['name'] == 'synthetic':
        return None
    return medmnist.patients(config['name'], config['size'])


def patients(trained: Trained, split: str, labels: Int[np.ndarray, ' n']) -> np.ndarray | None:
    """Whose the images of a split of a run's own data are; None where nothing tells.

    Raises UserError where the data that would tell are not here, or are others.
    """
    config = trained.records[0]['config']['data']
    if table := table_of(config, split):
        return groups.columns(table, split, labels)['patient']
    told = config['path'] or config['groups'] or config['name'] == 'synthetic'
    return getattr(own_data(trained), split).groups if told else None


def each(
    trained: Trained, images: UInt8[np.ndarray, 'n h w c'], name: str
) -> Float[np.ndarray, 'm n k']:
    """Every member's float64 logits, with a progress bar."""
    found = [
        _logits(member.predict, member.variables, images, f'{name}, model {number}')
        for number, member in enumerate(trained.members, 1)
    ]
    return np.stack(found)


def dropped(
    trained: Trained, images: UInt8[np.ndarray, 'n h w c'], name: str
) -> Float[np.ndarray, 's n k'] | None:
    """Logits with dropout left on, the members taking turns; None where they have none."""
    members = [member for member in trained.members if mc_dropout.has_dropout(member)]
    if not members:
        return None
    predicts = [mc_dropout.make_predict(member) for member in members]
    found = []
    for number, key in enumerate(mc_dropout.keys(0, SAMPLES)):
        turn = number % len(members)
        given = members[turn].variables, key
        label = f'{name}, dropout {number + 1}/{SAMPLES}'
        found.append(_logits(predicts[turn], given, images, label))
    return np.stack(found)


def _logits(
    predict: Callable[[Any, Any], Any], given: Any, images: UInt8[np.ndarray, 'n h w c'], name: str
) -> Float[np.ndarray, 'n k']:
    from tqdm import tqdm

    size = min(BATCH, len(images))
    batches = scoring.batches(images, size, runtime.mesh())
    total = -(-len(images) // size)
    shown = tqdm(batches, desc=name, total=total, disable=None, leave=False)
    return scoring.logits(predict, given, shown, len(images)).astype(np.float64)
