"""The one door to all sources."""

import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import config, data
from pneumo_jax.data.dataset import SPLITS
from pneumo_jax.errors import UserError


@pytest.fixture
def nowhere(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """No file and no network."""
    monkeypatch.setenv('PNEUMO_JAX_DATA', str(tmp_path / 'data'))
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.setenv('PNEUMO_JAX_MIRROR', 'http://127.0.0.1:9')
    return tmp_path


def write(path: pathlib.Path, labels: list[int]) -> str:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 16, 16), np.uint8)
    content: dict[str, Any] = {f'{split}_images': images for split in SPLITS}
    content |= {f'{split}_labels': np.array(labels) for split in SPLITS}
    np.savez(path / 'set.npz', **content)
    return str(path / 'set.npz')


@pytest.mark.parametrize(
    ('name', 'size', 'message'),
    [
        ('pneumoniamist', 28, "did you mean 'pneumoniamnist'"),
        ('pneumoniamnist', 32, '28, 64, 128, 224'),
        ('chestmnist', 28, 'several labels'),
        ('organmnist3d', 28, 'volumes'),
        ('synthetic', 0, 'need a size'),
    ],
)
def test_what_cannot_be_had_is_told_without_a_file(name: str, size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.check(name=name, size=size)
    data.check(name=name, size=size, path='some.npz')


def test_synthetic_by_name() -> None:
    found = data.load(name='synthetic', size=28, seed=3)
    assert found.synthetic and found.image_shape == (28, 28, 1)


def test_the_seed_cuts_another_val(real_data: pathlib.Path) -> None:
    vals = []
    for seed in ('0', '1', '1'):
        fields = {'data.val': 'patients', 'data.seed': seed}
        vals.append(data.load(**config.load('configs/cnn.py:28', fields).data).val)
    first, other, again = (val.images.tobytes() for val in vals)
    assert first != other == again


def test_a_path_wins_over_the_name(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, [0, 1, 0, 1])
    found = data.load(name='pneumoniamnist', size=0, path=path)
    assert found.title == 'set.npz 16 px' and found.flag is None


def test_a_path_in_the_home_folder(nowhere: pathlib.Path) -> None:
    (nowhere / 'home').mkdir()
    write(nowhere / 'home', [0, 1, 0, 1])
    assert data.load(name='', size=8, path='~/set.npz').image_shape == (8, 8, 1)


def test_a_folder_by_path_with_limit(tmp_path: pathlib.Path) -> None:
    for split in SPLITS:
        for label, name in enumerate(('NORMAL', 'PNEUMONIA')):
            for number in range(5):
                path = tmp_path / split / name / f'{number}.jpeg'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new('L', (20, 24), 50 + 100 * label + number).save(path)
    found = data.load(name='', size=12, path=str(tmp_path), limit=6)
    assert [len(getattr(found, split)) for split in SPLITS] == [6, 6, 6]
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_limit_is_balanced_and_the_first() -> None:
    whole = data.load(name='synthetic', size=16)
    found = data.load(name='synthetic', size=16, limit=10)
    assert np.bincount(found.test.labels).tolist() == [5, 5]
    ill = whole.test.images[whole.test.labels == 1][:5]
    assert np.array_equal(found.test.images[found.test.labels == 1], ill)


def test_limit_may_not_leave_a_class_out() -> None:
    with pytest.raises(UserError, match=r'data\.limit=1 leaves a class out: at least 2'):
        data.load(name='synthetic', size=16, limit=1)


def test_every_source_is_checked(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"set\.npz 16 px: train has an empty class.*: '1'"):
        data.load(name='', size=0, path=write(tmp_path, [0, 2, 0, 2]))
    with pytest.raises(UserError, match='two or more'):
        data.load(name='', size=0, path=write(tmp_path, [0, 0, 0]))


def test_a_path_to_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match='no such file or folder'):
        data.load(name='', size=0, path=str(tmp_path / 'absent'))
    with pytest.raises(UserError, match='has no train and no test, only no folder'):
        data.load(name='', size=8, path=str(tmp_path))


def test_without_file_and_network(nowhere: pathlib.Path) -> None:
    with pytest.raises(UserError, match='cannot be downloaded'):
        data.load(name='pneumoniamnist', size=28)


def test_the_fallback_says_so_in_one_line(
    nowhere: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = data.load(name='pneumoniamnist', size=28, limit=8, fallback='synthetic')
    assert found.synthetic and len(found.train) == 8 and found.image_shape == (28, 28, 1)
    printed = capsys.readouterr()
    assert not printed.out and printed.err.count('\n') == 1
    assert 'synthetic images in place of pneumoniamnist' in printed.err


def test_the_fallback_hides_no_mistake(nowhere: pathlib.Path) -> None:
    with pytest.raises(UserError, match='did you mean'):
        data.load(name='pneumoniamnst', size=28, fallback='synthetic')
    (nowhere / 'data').mkdir()
    (nowhere / 'data/pneumoniamnist.npz').write_bytes(b'altered')
    with pytest.raises(UserError, match='not the official file'):
        data.load(name='pneumoniamnist', size=28, fallback='synthetic')


def test_an_unknown_fallback() -> None:
    with pytest.raises(UserError, match=r"unknown data\.fallback 'synthtic'"):
        data.load(name='synthetic', size=28, fallback='synthtic')


def test_the_official_file_by_path_is_unofficial_and_equal(real_data: pathlib.Path) -> None:
    official = data.load(name='pneumoniamnist', size=28)
    given = data.load(name='', size=28, path=str(real_data / 'pneumoniamnist.npz'))
    assert given.digest == official.digest
    assert given.flag is None and official.flag == 'pneumoniamnist'
    few = data.load(name='pneumoniamnist', size=28, limit=64)
    assert np.bincount(few.val.labels).tolist() == [32, 32]
