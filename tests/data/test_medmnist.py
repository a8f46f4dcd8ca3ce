"""The table of official sets, where their files are looked for, and what is refused."""

import csv
import hashlib
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pneumo_jax.data import download, medmnist
from pneumo_jax.data.dataset import SPLITS
from pneumo_jax.errors import UserError


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder with a small file that stands as the official breastmnist at 64 px."""
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {}
    for split, count in zip(SPLITS, (6, 4, 4), strict=True):
        content[f'{split}_images'] = rng.integers(0, 256, (count, 64, 64), np.uint8)
        content[f'{split}_labels'] = np.arange(count, dtype=np.uint8)[:, None] % 2
    np.savez(tmp_path / 'breastmnist_64.npz', **content)
    md5 = hashlib.md5((tmp_path / 'breastmnist_64.npz').read_bytes()).hexdigest()
    monkeypatch.setitem(medmnist._info()['breastmnist'], 'MD5_64', md5)
    monkeypatch.setenv('PNEUMO_JAX_DATA', str(tmp_path))
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setenv('PNEUMO_JAX_MIRROR', 'http://127.0.0.1:9')  # nobody answers there
    return tmp_path


def table(folder: pathlib.Path) -> list[list[Any]]:
    """The rows of a right table of patients for `place`, with its header."""
    counts = {'train': 6, 'val': 4, 'test': 4}
    rows = [[s, i, i % 2, f'{s}{i // 2}', 'x'] for s, n in counts.items() for i in range(n)]
    return [['split', 'index', 'label', 'patient', 'kind'], *rows]


def write(folder: pathlib.Path, rows: list[list[Any]]) -> None:
    with (folder / 'breastmnist_patients.csv').open('w', newline='') as file:
        csv.writer(file).writerows(rows)


def test_the_known_sets_are_flat_and_have_one_label() -> None:
    flags = medmnist.known_flags()
    assert 'pneumoniamnist' in flags and 'bloodmnist' in flags and len(flags) == 11
    assert not [flag for flag in flags if '3d' in flag or flag == 'chestmnist']


def test_every_known_set_has_an_address_and_md5_at_every_size() -> None:
    for flag in medmnist.known_flags():
        for suffix in ('', '_64', '_128', '_224'):
            assert f'{flag}{suffix}.npz' in medmnist._info()[flag][f'url{suffix}']
            assert len(medmnist._info()[flag][f'MD5{suffix}']) == 32


def test_the_table_is_read_without_importing_medmnist(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys; from pneumo_jax import data; data.check(name='retinamnist', size=28);"
        "heavy = {'medmnist', 'jax', 'sklearn', 'PIL', 'pandas', 'matplotlib'} & set(sys.modules);"
        'assert not heavy, heavy'
    )
    environment = os.environ | {'HOME': str(tmp_path)}
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('flag', 'message'),
    [
        ('pneumonamnist', "did you mean 'pneumoniamnist'"),
        ('nodulemnist3d', 'volumes'),
        ('chestmnist', 'several labels each'),
    ],
)
def test_what_cannot_be_used_says_why(flag: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        medmnist.load(flag, 28)


def test_a_size_that_does_not_exist() -> None:
    with pytest.raises(UserError, match=r'data\.size=32: MedMNIST comes in 28, 64, 128, 224 px'):
        medmnist.load('pneumoniamnist', 32)


def test_an_official_file(place: pathlib.Path) -> None:
    found = medmnist.load('breastmnist', 64)
    assert found.title == 'BreastMNIST 64 px' and found.flag == 'breastmnist'
    assert found.classes == ('Malignant', 'Normal, benign')
    assert found.image_shape == (64, 64, 1) and found.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.train.groups is None


def test_the_folder_of_medmnist_comes_second(
    place: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / 'home/.medmnist').mkdir(parents=True)
    (place / 'breastmnist_64.npz').rename(place / 'home/.medmnist/breastmnist_64.npz')
    assert len(medmnist.load('breastmnist', 64).train) == 6
    monkeypatch.delenv('PNEUMO_JAX_DATA')
    assert len(medmnist.load('breastmnist', 64).train) == 6


def test_an_altered_file_is_refused(place: pathlib.Path) -> None:
    path = place / 'breastmnist_64.npz'
    path.write_bytes(path.read_bytes()[:-1] + b'x')
    with pytest.raises(UserError, match='delete it to download it anew') as error:
        medmnist.load('breastmnist', 64)
    assert f'--config.data.path={path}' in str(error.value)


def test_without_file_and_network_the_line_says_where_to_put_it(place: pathlib.Path) -> None:
    with pytest.raises(download.UnavailableError) as error:
        medmnist.load('breastmnist', 28)
    wanted = f"-o {place}/breastmnist.npz 'http://127.0.0.1:9/breastmnist.npz'"
    assert wanted in str(error.value)


def test_patients_come_from_the_table_beside_the_file(place: pathlib.Path) -> None:
    rows = table(place)
    write(place, [rows[0], *rows[:0:-1]])  # in any order
    found = medmnist.load('breastmnist', 64)
    assert found.train.groups is not None and found.test.groups is not None
    assert found.train.groups.tolist() == [
        'train0',
        'train0',
        'train1',
        'train1',
        'train2',
        'train2',
    ]
    assert found.test.groups.tolist() == ['test0', 'test0', 'test1', 'test1']


@pytest.mark.parametrize(
    ('row', 'column', 'value', 'message'),
    [
        (3, 2, 1, 'the label of'),  # another label
        (3, 1, 9, "the index is '9'"),  # an image that is not there
        (3, 1, 0, 'named a second time'),  # one image twice
        (3, 0, 'extra', "the split is 'extra'"),
        (3, 1, 'one', "the index is 'one'"),
        (3, 3, '', 'has no patient'),
        (0, 3, 'name', 'needed: split, index, patient'),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    place: pathlib.Path, row: int, column: int, value: object, message: str
) -> None:
    rows = table(place)
    rows[row][column] = value
    write(place, rows)
    with pytest.raises(UserError, match=rf'breastmnist_patients\.csv: .*{message}'):
        medmnist.load('breastmnist', 64)


def test_a_table_that_ends_early_is_refused(place: pathlib.Path) -> None:
    write(place, table(place)[:-1])
    with pytest.raises(UserError, match='names no patient for'):
        medmnist.load('breastmnist', 64)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, place: pathlib.Path) -> None:
    def homeless() -> pathlib.Path:
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.setattr(pathlib.Path, 'home', homeless)
    assert len(medmnist.load('breastmnist', 64).classes) == 2
    monkeypatch.delenv('PNEUMO_JAX_DATA')
    with pytest.raises(UserError, match='set PNEUMO_JAX_DATA'):
        medmnist.load('breastmnist', 64)


def test_the_official_pneumoniamnist(real_data: pathlib.Path) -> None:
    found = medmnist.load('pneumoniamnist', 28)
    assert found.title == 'PneumoniaMNIST 28 px' and found.classes == ('Normal', 'Pneumonia')
    assert [len(getattr(found, split)) for split in SPLITS] == [4708, 524, 624]
    assert np.bincount(found.train.labels).tolist() == [1214, 3494]
    assert np.bincount(found.val.labels).tolist() == [135, 389]
    assert np.bincount(found.test.labels).tolist() == [234, 390]
    if (real_data / 'pneumoniamnist_patients.csv').exists():
        train, val, test = (getattr(found, split).groups for split in SPLITS)
        assert [len(train), len(val), len(test)] == [4708, 524, 624]
        assert np.isin(val, train).sum() == 372 and not np.isin(test, train).any()
