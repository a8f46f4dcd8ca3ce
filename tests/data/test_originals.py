"""Training images in more detail than the net is fed."""

import dataclasses
import pathlib

import numpy as np
import pytest

from pneumo_jax import data
from pneumo_jax.data import originals
from pneumo_jax.errors import UserError

SIDE, TIMES, COUNT = 12, 3, 16


def write(path: pathlib.Path, **changes: np.ndarray) -> dict[str, str | int]:
    """An npz file of drawn images, at their own size; what `data.load` is to be told of it."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split in ('train', 'val', 'test'):
        # Large squares, so that an image is like itself in any size, and like no other.
        coarse = rng.integers(0, 256, (COUNT, SIDE, SIDE), np.uint8)
        arrays[f'{split}_images'] = coarse
        arrays[f'{split}_labels'] = np.arange(COUNT) % 2
        arrays[f'{split}_groups'] = np.arange(COUNT) + (100 if split == 'test' else 0)
    np.savez(path, **arrays | changes)
    return {'name': '', 'size': 0, 'path': str(path)}


def enlarged(path: pathlib.Path, times: int = TIMES, **changes: np.ndarray) -> str:
    """The file of the same images, `times` as large."""
    with np.load(path) as file:
        arrays = dict(file)
    for name, array in arrays.items():
        if name.endswith('images'):
            arrays[name] = array.repeat(times, 1).repeat(times, 2)
    large = path.with_name('large.npz')
    np.savez(large, **arrays | changes)
    return str(large)


@pytest.mark.parametrize(
    'how', [{}, {'limit': 6}, {'val': 'patients', 'seed': 3}, {'val': 'patients', 'seed': 4}]
)
def test_every_image_keeps_its_place_however_the_data_are_cut(
    tmp_path: pathlib.Path, how: dict[str, str | int]
) -> None:
    asked = {**write(tmp_path / 'small.npz'), **how}
    dataset = data.load(**asked)
    large = originals.load(enlarged(tmp_path / 'small.npz'), dataset, **asked)
    assert large.images.shape[1:] == (SIDE * TIMES, SIDE * TIMES, 1)
    np.testing.assert_array_equal(originals.shrunk(large.images, TIMES), dataset.train.images)
    np.testing.assert_array_equal(large.labels, dataset.train.labels)
    np.testing.assert_array_equal(large.groups, dataset.train.groups)


def test_an_original_is_asked_of_data_whose_val_is_cut_from_train(tmp_path: pathlib.Path) -> None:
    asked = write(tmp_path / 'small.npz')
    for path in (tmp_path / 'small.npz', pathlib.Path(enlarged(tmp_path / 'small.npz'))):
        with np.load(path) as file:
            kept = {name: array for name, array in file.items() if not name.startswith('val')}
        np.savez(path, **kept)
    dataset = data.load(**asked, val_fraction=0.25, seed=5)
    large = originals.load(str(tmp_path / 'large.npz'), dataset, **asked, val_fraction=0.25, seed=5)
    np.testing.assert_array_equal(originals.shrunk(large.images, TIMES), dataset.train.images)


def refused(small: pathlib.Path, large: str, match: str) -> None:
    asked = {'name': '', 'size': 0, 'path': str(small)}
    with pytest.raises(UserError, match=match) as caught:
        originals.load(large, data.load(**asked), **asked)
    assert str(caught.value).startswith(f'originals={large}: ')


def test_other_images_are_refused(tmp_path: pathlib.Path) -> None:
    small = tmp_path / 'small.npz'
    write(small)
    refused(small, str(tmp_path / 'none.npz'), 'is no file')
    refused(small, str(tmp_path), 'is no file')
    refused(small, str(small), r'2, 3 or more times as long')
    labels = np.arange(COUNT) % 2
    refused(small, enlarged(small, train_labels=1 - labels), 'labels are not those of small.npz')
    with np.load(enlarged(small)) as file:
        turned = np.roll(file['train_images'], 2, 0)  # each with another's label, which is the same
        wide = {name: array[:, :, :-1] for name, array in file.items() if name.endswith('images')}
    refused(small, enlarged(small, train_images=turned), 'they are others, or in another order')
    with np.load(enlarged(small)) as file:
        one = file['train_images'].copy()
    one[3] = one[5]  # of the same label
    refused(small, enlarged(small, train_images=one), 'and 1 of them far more')
    refused(small, enlarged(small, **wide), r'\(36, 35, 1\), those of .* \(12, 12, 1\)')


@pytest.mark.parametrize(
    ('large', 'factor'),
    [((24, 36, 1), 2), ((12, 18, 1), 0), ((24, 24, 1), 0), ((30, 45, 1), 0), ((24, 36, 3), 0)],
)
def test_only_whole_numbers_of_times(large: tuple[int, ...], factor: int) -> None:
    assert originals.times(np.zeros((2, *large)), np.zeros((5, 12, 18, 1))) == factor


def test_the_official_images_and_the_same_ones_at_half_the_size(real_data: pathlib.Path) -> None:
    path = str(real_data / 'pneumoniamnist.npz')
    asked = {'name': '', 'path': path, 'size': 14, 'limit': 300}
    dataset = data.load(**asked)
    large = originals.load(path, dataset, **asked)
    assert large.images.shape == (300, 28, 28, 1) and dataset.image_shape == (14, 14, 1)


def test_a_size_is_the_same_set_in_that_size(monkeypatch: pytest.MonkeyPatch) -> None:
    phantoms = data.load(name='synthetic', size=28)
    asked = {'name': 'pneumoniamnist', 'size': 28, 'path': ''}
    monkeypatch.setattr(data.medmnist, 'load', lambda name, size: _enlarged(phantoms, size // 28))
    found = originals.load('56', phantoms, **asked)
    np.testing.assert_array_equal(originals.shrunk(found.images, 2), phantoms.train.images)


def _enlarged(dataset: data.Dataset, times: int) -> data.Dataset:
    parts = {
        name: dataclasses.replace(part, images=part.images.repeat(times, 1).repeat(times, 2))
        for name in ('train', 'val', 'test')
        for part in [getattr(dataset, name)]
    }
    return dataclasses.replace(dataset, **parts)


@pytest.mark.parametrize('how', [{'name': 'synthetic'}, {'name': '', 'path': 'a.npz'}])
def test_a_size_is_refused_for_what_is_no_medmnist_set(how: dict[str, str]) -> None:
    phantoms = data.load(name='synthetic', size=28)
    with pytest.raises(UserError, match=r'originals=56 is a size of a MedMNIST set, which'):
        originals.load('56', phantoms, size=28, **how)


@pytest.mark.parametrize('source', ['57', '9' * 5000])
def test_no_size_and_no_file(source: str) -> None:
    phantoms = data.load(name='synthetic', size=28)
    with pytest.raises(UserError, match=f'^originals={source}: '):
        originals.load(source, phantoms, name='pneumoniamnist', size=28, path='')
