"""npz files as people bring them."""

import pathlib
import zipfile
from typing import Any

import numpy as np
import pytest

from pneumo_jax.data import arrays
from pneumo_jax.data.dataset import SPLITS, Dataset
from pneumo_jax.data.images import square
from pneumo_jax.errors import UserError


def content(size: int = 12, count: int = 20) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for split in SPLITS:
        found[f'{split}_images'] = rng.integers(0, 256, (count, size, size), np.uint8)
        found[f'{split}_labels'] = np.arange(count, dtype=np.uint8)[:, None] % 2
    return found


def write(path: pathlib.Path, **found: Any) -> pathlib.Path:
    np.savez_compressed(path / 'set.npz', **found)
    return path / 'set.npz'


def load(path: pathlib.Path, size: int = 0) -> Dataset:
    return arrays.load(path, size=size, val_fraction=0.1, seed=0)


def test_a_set_with_the_keys_of_medmnist(tmp_path: pathlib.Path) -> None:
    given = content()
    found = load(write(tmp_path, **given))
    assert found.title == 'set.npz 12 px' and found.flag is None and not found.synthetic
    assert found.classes == ('0', '1') and found.image_shape == (12, 12, 1)
    assert np.array_equal(found.val.images[..., 0], given['val_images'])
    assert found.test.labels.dtype == np.int32 and found.test.labels.tolist() == [0, 1] * 10
    assert found.train.groups is None


def test_class_names_groups_colour_and_flat_labels(tmp_path: pathlib.Path) -> None:
    given = content() | {'classes': np.array(['Well', 'Ill'])}
    for split in SPLITS:
        given[f'{split}_images'] = np.repeat(given[f'{split}_images'][..., None], 3, -1)
        given[f'{split}_labels'] = given[f'{split}_labels'].ravel().astype(np.int64)
        given[f'{split}_groups'] = np.arange(20) // 2
    found = load(write(tmp_path, **given))
    assert found.classes == ('Well', 'Ill') and found.image_shape == (12, 12, 3)
    assert found.test.groups is not None and found.test.groups[3] == 1


def test_another_size_is_resized_as_folders_are(tmp_path: pathlib.Path) -> None:
    given = content(size=20)
    for split in SPLITS:
        given[f'{split}_images'] = given[f'{split}_images'][:, :, 2:18]
    path = write(tmp_path, **given)
    found = load(path, size=14)
    assert found.image_shape == (14, 14, 1) and found.title == 'set.npz 14 px'
    assert np.array_equal(found.train.images[3], square(given['train_images'][3][..., None], 14))
    assert np.array_equal(load(path, size=0).val.images[..., 0], given['val_images'])


def test_a_missing_val_is_cut_from_train_by_patient(tmp_path: pathlib.Path) -> None:
    given = content(count=60)
    del given['val_images'], given['val_labels']
    given['train_groups'] = np.array([f'p{i // 4}-{i % 2}' for i in range(60)])
    found = load(write(tmp_path, **given))
    assert found.train.groups is not None and found.val.groups is not None
    assert not set(found.train.groups) & set(found.val.groups)
    assert (len(found.train), len(found.val), len(found.test)) == (56, 4, 60)
    assert sorted(found.val.labels.tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'train_images': None}, 'has no train_images; it has train_labels, val_images'),
        ({'val_labels': None}, 'has no val_labels'),
        ({'test_images': None, 'test_labels': None}, 'has no test_images, test_labels'),
        ({'train_images': np.zeros((20, 12, 12))}, 'train_images is float64'),
        ({'train_images': np.zeros((20, 144), np.uint8)}, r'train_images is uint8 \(20, 144\)'),
        ({'train_images': np.zeros((20, 4, 4, 2), np.uint8)}, '1 or 3'),
        ({'train_images': np.zeros((20, 0, 4), np.uint8)}, 'not empty'),
        ({'train_images': np.zeros((20, 9, 4), np.uint8)}, 'differ in shape'),
        (
            {'train_images': np.zeros((0, 4, 4), np.uint8), 'train_labels': np.zeros(0, int)},
            'not empty',
        ),
        ({'train_labels': np.zeros(20)}, 'train_labels is float64'),
        ({'train_labels': np.zeros(20, bool)}, 'train_labels is bool'),
        ({'train_labels': np.zeros((20, 14), int)}, r'\(20, 14\): must be integers'),
        ({'train_labels': np.array(3)}, 'must be integers'),
        ({'train_labels': np.zeros(19, int)}, '20 images, but 19 labels'),
        ({'test_labels': np.full(20, -1)}, 'from -1 to -1: number the classes'),
        ({'test_labels': np.full(20, 2**40)}, 'number the classes 0, 1, 2'),
        ({'classes': np.array([1, 2])}, 'must be strings'),
        ({'train_groups': np.zeros(3, int)}, 'train_groups is int64'),
        ({'train_groups': np.zeros(20)}, 'must be 20 names'),
        ({'train_labels': np.array([None] * 20)}, 'Object arrays cannot be loaded'),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: pathlib.Path, change: dict[str, Any], message: str
) -> None:
    given = {key: value for key, value in (content() | change).items() if value is not None}
    path = write(tmp_path, **given)
    with pytest.raises(UserError, match=message) as error:
        load(path)
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_a_missing_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match='no such file'):
        load(tmp_path / 'absent.npz')


def test_damaged_files(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, **content())
    whole = path.read_bytes()
    for damaged in (b'', b'text', whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match='is damaged, or not an npz file'):
            load(path)
    np.save(tmp_path / 'one.npy', np.zeros(3))
    with pytest.raises(UserError, match='not an npz file'):
        load(tmp_path / 'one.npy')


def test_damage_never_escapes_as_another_error(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, **content(size=4, count=4))
    whole, rng = np.frombuffer(path.read_bytes(), np.uint8), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = whole.copy()
        damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            load(path)
        except UserError:
            refused += 1
    assert refused > 150


def test_a_file_that_expands_beyond_memory_is_refused_by_its_headers(
    tmp_path: pathlib.Path,
) -> None:
    path = write(tmp_path, **content())
    header = np.lib.format.magic(1, 0)
    text = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 224, 224, 3), }".ljust(117)
    header += len(text + '\n').to_bytes(2, 'little') + text.encode() + b'\n'
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('extra_images.npy', header)
    with pytest.raises(UserError, match=r'expands to 140\.2 GB; at most 32 GB'):
        load(path)
