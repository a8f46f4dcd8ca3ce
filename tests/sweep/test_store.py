"""runs.csv and probabilities.npz: whole at any moment, and checked against each other."""

import contextlib
import csv
import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from pneumo_jax.errors import UserError
from pneumo_jax.evaluation import statistics
from pneumo_jax.sweep import store
from pneumo_jax.sweep.store import Kept
from pneumo_jax.sweep.study import Run

Finish = Callable[..., list[Run]]


@pytest.fixture
def kept(finish: Finish) -> list[Kept]:
    """The four runs of `tiny`."""
    return [store.collect(r, pathlib.Path('runs/tiny', r.name), '1.5') for r in finish()]


def test_what_was_put_is_read(tmp_path: pathlib.Path, kept: list[Kept]) -> None:
    assert store.read(tmp_path) == []
    store.put(tmp_path, kept)
    again = store.read(tmp_path)
    assert [run.line for run in again] == [run.line for run in kept]
    for one, other in zip(again, kept, strict=True):
        assert one.splits.keys() == other.splits.keys() == {'val', 'test'}
        for split, arrays in one.splits.items():
            np.testing.assert_array_equal(arrays, other.splits[split])
    assert np.isnan(again[0].score('val_corrupted', 'auroc'))


def test_a_table_has_the_splits_that_runs_were_scored_on(
    tmp_path: pathlib.Path, kept: list[Kept]
) -> None:
    """And tables from before there were others, or with empty columns, are read as ever."""
    one = kept[0]
    probabilities, labels = one.splits['val']
    more = {
        'val_reframed': (np.tile(probabilities, 3), np.tile(labels, 3)),
        'val_corrupted': (probabilities, labels),
    }
    line = {**one.line}
    for split in more:
        line |= {f'{split}_{name}': line[f'val_{name}'] for name in store.SCORES}
    line['val_reframed_n'] = str(3 * len(labels))
    scored = Kept(line, {**one.splits, **more})
    for runs, has in (([kept[1]], False), ([scored, kept[1]], True)):
        store.put(tmp_path, runs)
        head, *_ = (tmp_path / 'runs.csv').read_text().splitlines()
        assert ('val_reframed_auroc' in head) == ('val_corrupted_n' in head) == has
        assert 'val_reframed_corrupted' not in head
        again = store.read(tmp_path)
        assert [run.line for run in again] == [run.line for run in runs]
    np.testing.assert_array_equal(again[0].splits['val_reframed'][1], np.tile(labels, 3))
    assert again[0].score('val_reframed', 'auroc') == again[0].score('val', 'auroc')
    table = tmp_path / 'runs.csv'
    table.write_text(table.read_text().replace('val_reframed_auroc', 'val_reframed_area'))
    with pytest.raises(UserError, match='the columns of'):
        store.read(tmp_path)


def named(one: Kept, row: str) -> Kept:
    return dataclasses.replace(one, line={**one.line, 'row': row})


def retrained(one: Kept) -> Kept:
    """The same run with other predictions, and the scores that follow from them."""
    splits = {split: (1 - p, labels) for split, (p, labels) in one.splits.items()}
    line = {**one.line, 'commit': 'a later one'}
    for split, (p, labels) in splits.items():
        again = {name: statistics.score(p[None], labels, name) for name in statistics.METRICS}
        line |= {f'{split}_{name}': repr(float(value)) for name, value in again.items()}
    return Kept(line, splits)


def changed(change: str, kept: list[Kept]) -> tuple[list[Kept], list[Kept]]:
    """What is stored before and after."""
    a, b = kept[0].line['row'], kept[2].line['row']
    return {
        'put': (kept[:2], kept[:3]),
        'drop': (kept, kept[:1]),
        'rename': (kept, [*(named(one, 'new') for one in kept[:2]), *kept[2:]]),
        'swap names': (kept, [named(one, b if one.line['row'] == a else a) for one in kept]),
        'train again': (kept, [*map(retrained, kept[:2]), *kept[2:]]),
    }[change]


@pytest.mark.parametrize('writes', [0, 1, 2, 3])
@pytest.mark.parametrize('change', ['put', 'drop', 'rename', 'swap names', 'train again'])
def test_a_kill_between_the_files_leaves_what_was_there(
    tmp_path: pathlib.Path,
    kept: list[Kept],
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    writes: int,
) -> None:
    before, after = changed(change, kept)
    store.put(tmp_path, before)
    done = []

    def until_killed(write: Callable[..., None]) -> Callable[..., None]:
        def either(*given: object, **more: object) -> None:
            if len(done) == writes:
                raise KeyboardInterrupt
            done.append(write(*given, **more))  # type: ignore[func-returns-value]

        return either

    for name in ('_write_archive', '_write_table'):
        monkeypatch.setattr(store, name, until_killed(getattr(store, name)))
    with contextlib.suppress(KeyboardInterrupt):
        store.put(tmp_path, after, before)
    assert len(done) == writes
    wanted, found = after if writes > 1 else before, store.read(tmp_path)
    assert [run.line for run in found] == [run.line for run in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.splits['test'][0], other.splits['test'][0])


def truncate(folder: pathlib.Path) -> None:
    archive = folder / 'probabilities.npz'
    archive.write_bytes(archive.read_bytes()[:-300])


def flip(folder: pathlib.Path) -> None:
    archive = folder / 'probabilities.npz'
    data = bytearray(archive.read_bytes())
    data[200] ^= 255
    archive.write_bytes(data)


def replace(old: str, new: str) -> Callable[[pathlib.Path], None]:
    def change(folder: pathlib.Path) -> None:
        table = folder / 'runs.csv'
        text = table.read_text()
        assert old in text
        table.write_text(text.replace(old, new, 1))

    return change


def nudge(folder: pathlib.Path) -> None:
    """Another AUROC than the predictions give."""
    auroc = store.read(folder)[1].line['test_auroc']
    replace(auroc, repr(float(auroc) - 0.01))(folder)


def cell(column: str, value: str) -> Callable[[pathlib.Path], None]:
    """Another value in the line of the first run."""

    def change(folder: pathlib.Path) -> None:
        with (folder / 'runs.csv').open(newline='') as file:
            lines = list(csv.DictReader(file))
        lines[0][column] = value
        with (folder / 'runs.csv').open('w', newline='') as file:
            writer = csv.DictWriter(file, lines[0])
            writer.writeheader()
            writer.writerows(lines)

    return change


def shorten(folder: pathlib.Path) -> None:
    """An image less, as where the data are others now."""
    with np.load(folder / 'probabilities.npz') as arrays:
        shorter = {name: arrays[name][:-1] for name in arrays}
    np.savez(folder / 'probabilities.npz', **shorter)


def pickled(folder: pathlib.Path) -> None:
    with np.load(folder / 'probabilities.npz') as arrays:
        objects = {name: arrays[name].astype(object) for name in arrays}
    np.savez(folder / 'probabilities.npz', **objects)


@pytest.mark.parametrize(
    ('damage', 'told'),
    [
        (truncate, 'damaged'),
        (flip, 'damaged'),
        (pickled, 'allow_pickle'),
        (lambda folder: (folder / 'probabilities.npz').unlink(), 'No such file'),
        (replace('row,seed', 'row,seeds'), 'columns of runs.csv'),
        (replace('narrow,0,', 'narrow,0,1,'), 'line 2 has another number of columns'),
        (replace('narrow,0,', 'narrow,7,'), 'narrow-7/val'),
        (replace('narrow,1,', 'narrow,0,'), "narrow', seed 0"),
        (replace('narrow,1,', '"narrow,1,'), 'expected after'),
        (replace('""name""', '""nam""'), "argument 'nam'"),
        (nudge, "'narrow', seed 1: test auroc is"),
        (cell('test_n', '9999'), 'or 9999 test images'),
        (cell('test_n', ''), 'invalid literal'),
        (cell('val_n', ''), 'invalid literal'),
        (cell('val_loss', 'x'), "'x'"),
        (shorten, "row 'narrow' has"),
        (lambda folder: (folder / 'runs.csv').write_bytes(b''), 'columns of runs.csv'),
    ],
)
def test_damage_is_told(
    tmp_path: pathlib.Path, kept: list[Kept], damage: Callable[..., None], told: str
) -> None:
    store.put(tmp_path, kept)
    damage(tmp_path)
    with pytest.raises(UserError, match='are damaged or do not agree') as error:
        store.read(tmp_path)
    assert told in str(error.value)
    assert '\n' not in str(error.value)


def test_a_damaged_run_folder_is_told(finish: Finish) -> None:
    run, *_ = finish()
    place = pathlib.Path('runs/tiny', run.name)
    (place / 'predictions_test.npz').write_bytes(b'PK')
    with pytest.raises(UserError, match=r'narrow-0 is damaged'):
        store.collect(run, place, '')
