"""The phantoms: reproducible, proportioned as the real data, learnable, harder in test."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from pneumo_jax.data.checks import check
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.data.synthetic import synthetic
from pneumo_jax.errors import UserError


@pytest.fixture(scope='module')
def small() -> Dataset:
    return synthetic(28, 0)


def test_its_form(small: Dataset) -> None:
    check(small)
    assert 'synthetic' in small.title and small.synthetic and small.flag is None
    assert small.classes == ('Normal', 'Pneumonia') and small.image_shape == (28, 28, 1)
    assert [len(getattr(small, split)) for split in SPLITS] == [800, 160, 200]
    shares = [getattr(small, split).labels.mean() for split in SPLITS]
    assert shares == pytest.approx([0.74, 0.74, 0.625], abs=0.005)


def test_patients_have_several_images_in_one_split(small: Dataset) -> None:
    patients = []
    for split in SPLITS:
        groups = getattr(small, split).groups
        assert groups is not None and len(groups) == len(getattr(small, split))
        patients.append(set(groups))
        assert len(patients[-1]) < 0.6 * len(groups)
    assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]


def test_the_seed_decides_every_bit(small: Dataset) -> None:
    assert synthetic(28, 0).digest == small.digest
    assert synthetic(28, 1).digest != small.digest


def test_a_larger_picture_shows_the_same(small: Dataset) -> None:
    large = synthetic(56, 0)
    assert np.array_equal(large.train.labels, small.train.labels)
    halved = large.train.images.reshape(800, 28, 2, 28, 2).mean((2, 4))
    difference = halved - small.train.images[..., 0]
    assert abs(difference).mean() < 8


def test_no_image_is_blank_or_drawn_twice(small: Dataset) -> None:
    for split in SPLITS:
        images = getattr(small, split).images
        assert images.std((1, 2, 3)).min() > 10
        assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_the_test_split_is_darker_and_more_spread(small: Dataset) -> None:
    val, test = (split.images.mean((1, 2, 3)) for split in (small.val, small.test))
    assert test.mean() < val.mean() - 10
    assert test.std() > 1.2 * val.std()


def test_it_is_learnable_and_the_test_split_is_harder(small: Dataset) -> None:
    def pixels(split: Split) -> np.ndarray:
        return split.images.reshape(len(split), -1) / 255 - 0.5

    model = MLPClassifier((128,), max_iter=30, random_state=0, tol=0)
    with pytest.warns(match='Maximum iterations'):
        model.fit(pixels(small.train), small.train.labels)
    val, test = (model.score(pixels(s), s.labels) for s in (small.val, small.test))
    assert 0.84 < val < 0.98
    assert test < val - 0.03


@pytest.mark.parametrize('size', [0, 15, 513])
def test_a_senseless_size_is_refused(size: int) -> None:
    with pytest.raises(UserError, match='from 16 to 512'):
        synthetic(size, 0)
