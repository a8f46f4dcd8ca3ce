"""What is kept of a study's runs: `results/runs.csv` and `results/probabilities.npz`.

Every score and the origin of every run are in the CSV; the probability of class 1 of every split's
images is in the archive, as float64, so that they give the same scores again. The labels are read
from the data: no part of a data set is kept here.
A new run is written to the archive under a name of its own first, then to the CSV, and then it
gets its name in the archive: what the CSV has is whole at any moment, under the one name or the
other, and what else is in the archive does not count.
"""

import csv
import dataclasses
import functools
import io
import json
import pathlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pneumo_jax import data, errors, files
from pneumo_jax.evaluation import statistics
from pneumo_jax.fields import CROPS, defaults
from pneumo_jax.sweep import study as studies
from pneumo_jax.sweep.study import Run

SCORES = (
    *('accuracy', 'auroc', 'sensitivity', 'specificity'),
    *('balanced_accuracy', 'loss', 'n'),
)
SPLITS = ('val', 'val_corrupted', 'val_reframed', 'val_reframed_corrupted', 'test')
ALWAYS = ('val', 'test')  # what every run is scored on
ORIGIN = ('data', 'config', 'commit', 'device', 'jax', 'command')
Split = tuple[np.ndarray, np.ndarray]  # probabilities of class 1 [n], labels [n]


@dataclasses.dataclass(frozen=True)
class Kept:
    """One run: its line of the CSV, as text, and its predictions of every split."""

    line: dict[str, str]
    splits: dict[str, Split]

    @property
    def key(self) -> tuple[str, str, str]:
        """That of the run of the study which this one is of."""
        return self.line['row'], self.line['seed'], self.line['config']

    def score(self, split: str, name: str) -> float:
        """A score; nan where the run was not scored on the split."""
        return float(self.line[f'{split}_{name}'] or 'nan')


def columns(is_scored: Callable[[str], bool] = lambda split: True) -> tuple[str, ...]:
    """Those of the CSV, which has the splits that some run was scored on."""
    splits = (split for split in SPLITS if split in ALWAYS or is_scored(split))
    scores = (f'{split}_{score}' for split in splits for score in SCORES)
    return ('row', 'seed', *scores, 'seconds', *ORIGIN)


def read(
    folder: pathlib.Path, wanted: Callable[[dict[str, str]], bool] = lambda line: True
) -> list[Kept]:
    """What is there; of the lines that are `wanted` alone, whose data must be here.

    Raises UserError where a file is damaged or the two do not agree.
    """
    table, archive = _paths(folder)
    if not table.exists():
        return []
    try:
        lines = [line for line in _read_lines(table) if wanted(line)]
        with np.load(archive, allow_pickle=False) as arrays:
            kept = [Kept(line, _splits(line, arrays)) for line in lines]
        _check(kept)
    except files.DAMAGES as error:
        raise errors.UserError(
            f'{table} and {archive.name} are damaged or do not agree ({error}). Take both from the '
            'last commit, or remove both: finished run folders are read again.'
        ) from error
    return kept


def put(folder: pathlib.Path, kept: Sequence[Kept], stored: Sequence[Kept] = ()) -> None:
    """Write `kept` in the place of what is `stored`, be it of the same names."""
    _write_archive(folder, stored, new=kept)
    _write_table(folder, kept)
    _write_archive(folder, kept)


def collect(run: Run, folder: pathlib.Path, seconds: str) -> Kept:
    """What the finished run in `folder` left; `seconds` is how long it took, where that is known.

    Raises UserError where the folder is damaged or of another config.
    """
    try:
        return _collect(run, folder, seconds)
    except files.DAMAGES as error:
        raise errors.UserError(f'{folder} is damaged ({error}); remove it.') from error


def _collect(run: Run, folder: pathlib.Path, seconds: str) -> Kept:
    record = json.loads((folder / 'run.json').read_text(encoding='utf-8'))
    if studies.digest(record['config']) != run.digest:
        raise errors.UserError(f'{folder} holds a run of another config; remove the folder.')
    results = json.loads((folder / 'results.json').read_text(encoding='utf-8'))
    found = [split for split in SPLITS if split in results]
    scores = {f'{s}_{name}': repr(results[s][name]) for s in found for name in SCORES}
    origin = results['origin']
    line = dict.fromkeys(columns(), '') | scores
    line |= {'row': run.row, 'seed': str(run.seed), 'seconds': seconds, 'config': run.digest}
    line |= {name: origin[name] for name in ('commit', 'device', 'command')}
    line['jax'] = origin['versions']['jax']
    line['data'] = json.dumps({**json.loads(run.data), 'sha256': record['data']['sha256']})
    return Kept(line, {split: _predictions(folder, split) for split in found})


def _paths(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    return folder / 'runs.csv', folder / 'probabilities.npz'


def _read_lines(table: pathlib.Path) -> list[dict[str, str]]:
    with table.open(encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file, strict=True, restkey='', restval=None)
        lines, given = list(reader), tuple(reader.fieldnames or ())
    if given != columns(lambda split: f'{split}_n' in given):
        raise ValueError(f'the columns of {table.name} are not row, seed, ...')
    for number, line in enumerate(lines, 2):
        if '' in line or None in line.values():
            raise ValueError(f'line {number} has another number of columns')
    return [dict.fromkeys(columns(), '') | line for line in lines]


def _splits(line: dict[str, str], arrays: Any) -> dict[str, Split]:
    of_data, found = data_of(line['data']).labels, {}
    for split in (split for split in SPLITS if split in ALWAYS or line[f'{split}_n']):
        own = _own_place(line, split)
        probabilities = arrays[own if own in arrays else _place(line, split)]
        sizes = {int(line[f'{split}_n']), *probabilities.shape, *of_data[split].shape}
        if len(sizes) > 1:
            told = ' or '.join(map(str, sorted(sizes)))
            raise ValueError(f'row {line["row"]!r} has {told} {split} images')
        found[split] = probabilities, of_data[split]
    return found


@dataclasses.dataclass(frozen=True)
class Data:
    """What is needed of a data set; `labels` are those of every split."""

    classes: tuple[str, ...]
    labels: dict[str, np.ndarray]
    digest: str


def data_of(fields: str) -> Data:
    """The data that differ by `fields` (JSON, as the CSV has them) from the default ones.

    Raises UserError where they are not here, or not of two classes.
    """
    return _loaded(_stated(fields)[0])


@functools.cache
def _loaded(stated: str) -> Data:
    usual = defaults('cnn').data.to_dict()
    found = data.load(**{**usual, **json.loads(stated)})
    if len(found.classes) != 2:
        raise errors.UserError(
            f'{found.title}: a sweep compares classifiers of two classes alone, and these are '
            f'{len(found.classes)}.'
        )
    each = {split: getattr(found, split.partition('_')[0]).labels for split in SPLITS}
    labels = {
        split: np.tile(labels, CROPS) if 'reframed' in split else labels
        for split, labels in each.items()
    }
    return Data(found.classes, labels, found.digest)


def check_data(kept: Iterable[Kept], to_do: Iterable[Run] = ()) -> None:
    """Refuse (`UserError`) runs whose data are named alike and are not the same.

    Those to do have today's. Of runs that were stored without a SHA-256 nothing is known.
    """
    digests: dict[str, str] = {}
    each = [(run.line['row'], *_stated(run.line['data'])) for run in kept]
    each += [(run.row, _stated(run.data)[0], data_of(run.data).digest) for run in to_do]
    for row, stated, digest in each:
        if digest and digests.setdefault(stated, digest) != digest:
            raise errors.UserError(
                f'row {row!r} is of other images or labels than the runs that are stored, though '
                f"the data are named alike ({stated}): restore the data, or remove the study's "
                'results and run folders to train all rows anew.'
            )


def is_of_today(line: dict[str, str]) -> bool:
    """Whether the data of a line of the CSV are what its fields name today, as far as is known."""
    stated, digest = _stated(line['data'])
    return digest in ('', data_of(stated).digest)


def _stated(fields: str) -> tuple[str, str]:
    """What the CSV has of a run's data: the fields, as JSON, and their SHA-256, if it is known."""
    stated = json.loads(fields)
    digest = stated.pop('sha256', '')
    return json.dumps(stated, sort_keys=True), digest


def _check(kept: Iterable[Kept]) -> None:
    """Whether every score that the CSV has follows from the predictions in the archive."""
    seen = set()
    for run in kept:
        name = f'row {run.line["row"]!r}, seed {run.line["seed"]}'
        if run.key[:2] in seen:
            raise ValueError(f'{name} is there twice')
        seen.add(run.key[:2])
        for split, (probabilities, labels) in run.splits.items():
            for score in SCORES:
                run.score(split, score)  # ValueError where it is no number
            for metric in statistics.METRICS:
                again = statistics.score(probabilities[None], labels, metric)
                if not abs(run.score(split, metric) - again) < 1e-9:
                    raise ValueError(f'{name}: {split} {metric} is {again:.6f} by the archive')


def _write_table(folder: pathlib.Path, kept: Sequence[Kept]) -> None:
    shown = columns(lambda split: any(run.line[f'{split}_n'] for run in kept))
    text = io.StringIO()
    writer = csv.DictWriter(text, shown, extrasaction='ignore', lineterminator='\n')
    writer.writeheader()
    writer.writerows(run.line for run in kept)
    files.write_text(_paths(folder)[0], text.getvalue())


def _write_archive(folder: pathlib.Path, kept: Sequence[Kept], new: Sequence[Kept] = ()) -> None:
    """`kept` under their names, and `new` under names that no others can have."""
    arrays: dict[str, Any] = {
        place(run.line, split): probabilities
        for place, runs in ((_place, kept), (_own_place, new))
        for run in runs
        for split, (probabilities, _) in run.splits.items()
    }
    with files.atomic(_paths(folder)[1]) as temporary, temporary.open('wb') as out:
        np.savez_compressed(out, **arrays)


def _place(line: dict[str, str], split: str) -> str:
    return f'{studies.slug(line["row"])}-{line["seed"]}/{split}'


def _own_place(line: dict[str, str], split: str) -> str:
    """That of a run until the CSV has it: runs of one name are told apart by all that is known."""
    known = zlib.crc32(json.dumps(line, sort_keys=True).encode())
    return f'{known:08x}/{split}'


def _predictions(folder: pathlib.Path, split: str) -> Split:
    with np.load(folder / f'predictions_{split}.npz', allow_pickle=False) as arrays:
        probabilities, labels = arrays['probabilities'], arrays['labels']
    return probabilities[:, 1].astype(np.float64), labels.astype(np.uint8)
