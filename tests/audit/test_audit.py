"""What is planted in a data set is found, and what is not planted is not."""

import collections
import csv
import json
import pathlib
from typing import Any

import numpy as np
import pytest

from pneumo_jax import data
from pneumo_jax.audit import duplicates, glance, patients, run, scores, shift
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

SIZES = {'train': 60, 'val': 30, 'test': 40}
PAIRS = ('train-train', 'train-val', 'train-test', 'val-val', 'val-test', 'test-test')


def made_up(channels: int = 1, side: int = 12, classes: int = 2) -> Dataset:
    """Noise of mean 120, every image of a patient of its own."""
    rng = np.random.default_rng(0)
    splits = [
        Split(
            np.clip(rng.normal(120, 30, (count, side, side, channels)), 0, 255).astype(np.uint8),
            (np.arange(count) % classes).astype(np.int32),
            np.array([f'{name}-{number}' for number in range(count)]),
        )
        for name, count in SIZES.items()
    ]
    return Dataset('made up', tuple('abcdef'[:classes]), *splits)


def counts(found: dict[str, Any], kind: str) -> dict[str, tuple[int, int, int]]:
    """The rows that are not zero: pairs, those of another label, those of the same patient."""
    rows = {names: tuple(pairs[kind].values()) for names, pairs in found['pairs'].items()}
    assert tuple(rows) == PAIRS
    return {names: row for names, row in rows.items() if any(row)}


def brighter(image: np.ndarray) -> np.ndarray:
    """The same picture with another gain and offset, and a little noise."""
    noise = np.random.default_rng(1).normal(0, 2, image.shape)
    return np.clip(0.7 * image + 40 + noise, 0, 255).astype(np.uint8)


def test_nothing_planted_nothing_found() -> None:
    found = duplicates.find(made_up())
    assert counts(found, 'exact') == counts(found, 'near') == {}
    assert found['first'] == [] and found['complete']
    assert found['sets_of_identical'] == found['images_in_them'] == 0
    assert found['highest_of_different_patients'] < duplicates.NEAR


@pytest.mark.parametrize(('channels', 'side'), [(1, 12), (3, 40)])
@pytest.mark.parametrize('tile', [7, 2048])
def test_planted_pairs_are_counted(
    channels: int, side: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, 'TILE', tile)
    dataset = made_up(channels, side)
    train, val, test = (getattr(dataset, name) for name in SPLITS)
    train.images[7] = train.images[2]  # of another label
    val.images[4] = train.images[2]  # three alike: three pairs
    test.images[1] = brighter(test.images[3])
    test.images[0] = brighter(val.images[10])
    test.groups[0] = val.groups[10]
    found = duplicates.find(dataset)
    assert counts(found, 'exact') == {'train-train': (1, 1, 0), 'train-val': (2, 1, 0)}
    assert counts(found, 'near') == {'val-test': (1, 0, 1), 'test-test': (1, 0, 0)}
    assert (found['sets_of_identical'], found['images_in_them']) == (1, 3)
    assert found['highest_of_different_patients'] > duplicates.NEAR
    listed = [
        (pair['kind'], *((image['split'], image['index']) for image in pair['images']))
        for pair in found['first']
    ]
    assert listed == [
        ('exact', ('train', 7), ('val', 4)),  # two labels, across splits
        ('exact', ('train', 2), ('train', 7)),  # two labels
        ('near', ('val', 10), ('test', 0)),  # across splits
        ('exact', ('train', 2), ('val', 4)),
        ('near', ('test', 1), ('test', 3)),
    ]
    assert [pair['same_patient'] for pair in found['first']] == [False, False, True, False, False]


def test_without_patients_nothing_is_said_of_them() -> None:
    dataset = made_up()
    dataset.val.images[0] = dataset.train.images[0]
    splits = [Split(s.images, s.labels) for s in (dataset.train, dataset.val)]
    unknown = Dataset('t', dataset.classes, *splits, dataset.test)
    found = duplicates.find(unknown)
    assert found['pairs']['train-val']['exact'] == {
        'pairs': 1, 'other_label': 0, 'same_patient': None
    }  # fmt: skip
    assert found['highest_of_different_patients'] is None
    assert patients.shared(unknown) is None
    same = [Split(s.images, s.labels, np.zeros(len(s), int)) for s in (*splits, dataset.test)]
    found = duplicates.find(Dataset('t', dataset.classes, *same))
    assert found['highest_of_different_patients'] is None, 'there is no such pair'


def test_even_images_are_no_near_duplicates() -> None:
    dataset = made_up()
    dataset.train.images[:3] = np.array([10, 10, 200]).reshape(3, 1, 1, 1)
    found = duplicates.find(dataset)
    assert counts(found, 'exact') == {'train-train': (1, 1, 0)}
    assert counts(found, 'near') == {}


def test_too_many_pairs_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, 'MOST', 5)
    dataset = made_up()
    dataset.train.images[:] = dataset.train.images[0]
    found = duplicates.find(dataset)
    assert found['pairs']['train-train']['exact']['pairs'] == 5 and not found['complete']


def test_correlation_is_that_of_numpy() -> None:
    images = made_up().val.images
    ours = duplicates.features(images)
    assert np.allclose(ours @ ours.T, np.corrcoef(images.reshape(len(images), -1)), atol=1e-5)


def test_planted_patients() -> None:
    dataset = made_up()
    assert patients.shared(dataset)['shared'] == {  # type: ignore[index]
        names: {'patients': 0, 'images': dict.fromkeys(names.split('-'), 0)}
        for names in ('train-val', 'train-test', 'val-test')
    }
    train, val = np.asarray(dataset.train.groups), np.asarray(dataset.val.groups)
    train[[0, 1, 2]], val[[0, 1, 2, 3]] = ['x', 'x', 'y'], ['y', 'x', 'y', 'z']
    found = patients.shared(dataset)
    assert found is not None
    assert found['shared']['train-val'] == {'patients': 2, 'images': {'train': 3, 'val': 3}}
    assert found['shared']['train-test']['patients'] == 0
    assert found['patients'] == {'train': 59, 'val': 29, 'test': 40}


def test_measures_of_pictures_that_are_known() -> None:
    board = np.indices((8, 8)).sum(0) % 2
    images = np.stack([np.full((8, 8), 90), 100 + 20 * board, 100 + 40 * board]).astype(np.uint8)
    found = shift.measure(images[..., None])
    assert found['brightness'].tolist() == [90, 110, 120]
    assert found['contrast'].tolist() == [0, 10, 20]
    # The Laplacian of a board of +-1 is 8 on either side of zero, whatever its contrast.
    assert found['sharpness'].tolist() == [0, 64, 64]
    assert shift.measure(np.zeros((2, 2, 2, 3), np.uint8))['sharpness'].tolist() == [0, 0]


def test_a_planted_shift_is_found_in_its_class_alone() -> None:
    from scipy import ndimage

    dataset = made_up()
    ill = dataset.test.labels == 1
    dataset.test.images[ill] += 20
    ill_val = dataset.val.labels == 0
    soft = ndimage.gaussian_filter(dataset.val.images[ill_val].astype(float), (0, 0.7, 0.7, 0))
    dataset.val.images[ill_val] = np.rint(soft)
    found = {m: shift.by_class(v, dataset) for m, v in shift.of_images(dataset).items()}
    moved = found['brightness']['b']
    assert moved['splits']['test']['mean'] == pytest.approx(140, abs=2)
    assert moved['val_to_test']['d'] > 3 and moved['val_to_test']['p'] < 1e-6
    assert abs(found['brightness']['a']['val_to_test']['d']) < 1
    assert found['sharpness']['a']['val_to_test']['d'] > 3
    assert abs(found['sharpness']['b']['val_to_test']['d']) < 1


@pytest.mark.parametrize('classes', [2, 3])
def test_what_a_glance_tells_and_where_it_misleads(classes: int, tmp_path: pathlib.Path) -> None:
    dataset = made_up(classes=classes)
    noise = glance.scores(dataset)
    assert 0.2 < noise['test']['auroc'] < 0.8
    for name in ('train', 'val', 'test'):
        split = getattr(dataset, name)
        light = split.labels if name != 'test' else (split.labels + 1) % classes
        split.images[:] = np.clip(split.images // 4 + 60 * light[:, None, None, None], 0, 255)
    found = glance.scores(dataset)
    assert found['val']['auroc'] == found['val']['accuracy'] == 1
    assert found['val']['recall'] == dict.fromkeys('abc'[:classes], 1)
    assert found['test']['recall'] == dict.fromkeys('abc'[:classes], 0)
    assert f'recall of {"abc"[classes - 1]}' in run.audit(dataset, [], tmp_path)


def test_the_difference_of_two_samples() -> None:
    found = shift.difference(np.array([0.0, 2.0]), np.array([4.0, 8.0]))
    assert found['d'] == pytest.approx(5 / np.sqrt(2.5)) and found['ks'] == 1
    assert shift.difference(np.ones(3), np.ones(3)) == {'d': None, 'ks': 0, 'p': 1}


def scored(folder: pathlib.Path, dataset: Dataset, **changed: Any) -> pathlib.Path:
    """A run folder: the ill are sure, the healthy are called ill in test."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in scores.SPLITS:
        labels = getattr(dataset, name).labels
        ill = np.where(labels == 1, 0.9, {'val': 0.1, 'test': 0.7}[name])
        arrays = {'labels': labels, 'probabilities': np.stack([1 - ill, ill], 1)} | changed
        np.savez(folder / f'predictions_{name}.npz', **arrays)
    return folder


def test_scores_of_a_run(tmp_path: pathlib.Path) -> None:
    dataset = made_up()
    found = shift.by_class(scores.read(scored(tmp_path, dataset), dataset), dataset, half=True)
    healthy = found['a']['splits']
    assert healthy['val']['mean'] == pytest.approx(0.1) and healthy['val']['above_half'] == 0
    assert healthy['test']['mean'] == pytest.approx(0.7) and healthy['test']['above_half'] == 1
    assert found['a']['val_to_test']['ks'] == 1
    assert found['b']['val_to_test']['ks'] == 0


def test_scores_of_many_classes_are_of_the_own_one(tmp_path: pathlib.Path) -> None:
    dataset = made_up(classes=3)
    for name in scores.SPLITS:
        labels = getattr(dataset, name).labels
        probabilities = np.full((len(labels), 3), 0.15)
        probabilities[np.arange(len(labels)), labels] = 0.7
        np.savez(tmp_path / f'predictions_{name}.npz', labels=labels, probabilities=probabilities)
    assert (scores.read(tmp_path, dataset)['test'] == 0.7).all()
    assert 'own class' in scores.title(dataset.classes)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'labels': np.zeros(3, int)}, r'labels are not those of made up, val \(3 there, 30 here'),
        ({'labels': np.zeros(30, int)}, 'labels are not those of made up, val'),
        ({'labels': np.array([{}])}, 'damaged, or not of a run'),
        ({'probabilities': np.full((30, 3), 0.3)}, r'are float64 \(30, 3\): must be \(30, 2\)'),
        ({'probabilities': np.full((30, 2), np.nan)}, 'from 0 to 1'),
        ({'probabilities': np.full((30, 2), 2.0)}, 'from 0 to 1'),
        ({'probabilities': np.full((30, 2), 'x')}, 'must be'),
    ],
)
def test_predictions_that_cannot_be_used(
    tmp_path: pathlib.Path, changed: dict[str, Any], message: str
) -> None:
    dataset = made_up()
    with pytest.raises(UserError, match=message):
        scores.read(scored(tmp_path, dataset, **changed), dataset)


def test_folders_that_are_no_runs(tmp_path: pathlib.Path) -> None:
    dataset = made_up()
    with pytest.raises(UserError, match=r'it has no predictions_val\.npz and no predictions_test'):
        scores.read(tmp_path / 'absent', dataset)
    scored(tmp_path, dataset)
    (tmp_path / 'predictions_test.npz').write_bytes(b'PK\x03\x04 cut short')
    with pytest.raises(UserError, match=r'predictions_test\.npz: is damaged'):
        scores.read(tmp_path, dataset)
    (tmp_path / 'predictions_val.npz').unlink()
    with pytest.raises(UserError, match=r'it has no predictions_val\.npz\.'):
        scores.read(tmp_path, dataset)


def test_everything_is_written_and_what_is_old_goes(tmp_path: pathlib.Path) -> None:
    dataset = made_up(channels=3)
    dataset.val.images[0] = dataset.train.images[0]
    runs = [scored(tmp_path / place / 'same', dataset) for place in 'xy']
    out = tmp_path / 'deep' / 'audit'
    told = run.audit(dataset, runs, out)
    names = {'audit.json', 'audit.md', 'duplicates.png', 'shift.png', 'scores.png'}
    assert {path.name for path in out.iterdir()} == names
    found = json.loads((out / 'audit.json').read_text())
    assert set(found['scores']) == set(map(str, runs))
    assert found['prior']['val'] == {'a': 15, 'b': 15}
    page = (out / 'audit.md').read_text()
    assert page.startswith(told.rstrip()) and '![scores.png](scores.png)' in page
    assert '| train 0, a | val 0, a | exact |       1.000 |           no |' in page
    dataset.val.images[0] += 3
    dataset.val.images[0, :6] ^= 77
    run.audit(dataset, [], out)
    assert {path.name for path in out.iterdir()} == {'audit.json', 'audit.md', 'shift.png'}


def test_a_place_that_cannot_be_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'cannot write to .*file.*another --out'):
        run.audit(made_up(), [], tmp_path / 'file')


def test_the_door_tells_of_shared_patients(
    tmp_path: pathlib.Path, door: Any, real_data: pathlib.Path
) -> None:
    table = real_data / 'pneumoniamnist_patients.csv'
    if not table.exists():
        pytest.skip(f'no {table.name} in {real_data}')
    with table.open(newline='') as file:
        rows = [(row['split'], row['patient']) for row in csv.DictReader(file)]
    in_train = {patient for split, patient in rows if split == 'train'}
    leaked = sum(split == 'val' and patient in in_train for split, patient in rows)
    assert leaked == 372
    told = door(
        'pneumo_jax', 'audit', '--config', 'configs/cnn.py:28', '--out', tmp_path,
        f'--config.data.groups={table}',
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert f'{leaked} of 524 val images' in told.stdout
    assert 'train-test: no patient in both' in told.stdout
    assert 'one name may be two children' in told.stdout
    found = json.loads((tmp_path / 'audit.json').read_text())
    assert found['patients']['shared']['train-val']['images']['val'] == leaked
    assert found['patients']['shared']['val-test']['patients'] == 0
    images = data.load(name='pneumoniamnist', size=28)
    copies = collections.Counter(
        bytes(image) for name in SPLITS for image in getattr(images, name).images
    )
    twice = sum(count > 1 for count in copies.values())
    assert found['duplicates']['sets_of_identical'] == twice > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--run', 'nowhere'), 'nowhere: is not the folder of a finished run'),
        (('--config.data.groups=nowhere.csv',), 'nowhere.csv cannot be read'),
        (('--config.data.groups=README.md',), 'README.md: the columns are'),
        (('--runs', 'x'), "did you mean '--run'?"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: pathlib.Path, door: Any, arguments: tuple[str, ...], message: str
) -> None:
    out = tmp_path / 'out'
    told = door('pneumo_jax', 'audit', '--config', 'configs/cnn.py:smoke', '--out', out, *arguments)
    assert told.returncode == 2, told.stdout
    assert message in told.stderr and told.stderr.count('\n') == 1
    assert not out.exists()


def test_the_audit_imports_no_jax() -> None:
    import subprocess
    import sys

    code = (
        'import sys, pneumo_jax.audit.run, pneumo_jax.cli.audit;'
        'sys.exit(any(name in sys.modules for name in ("jax", "scipy", "matplotlib")))'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
