import dataclasses
import json

import jax
import numpy as np
import pytest

from pneumo_jax import errors
from pneumo_jax.data.preprocess import Preprocess


def test_black_is_minus_one_and_white_is_one() -> None:
    images = np.array([[[[0]], [[255]]]], np.uint8)
    assert Preprocess(2, 1, 1)(images).ravel().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize('images', [np.zeros((1, 4, 4, 1)), np.zeros((1, 5, 4, 1), np.uint8)])
def test_other_images_than_the_model_was_trained_on_are_refused(images: np.ndarray) -> None:
    with pytest.raises(errors.UserError, match=r'takes uint8 images of shape \(4, 4, 1\)'):
        Preprocess(4, 4, 1)(images)


IMAGENET = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}


def test_a_gray_image_is_fed_as_three_channels_each_on_its_own_scale() -> None:
    gray = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    single, colour = Preprocess(4, 4, 1, **IMAGENET), Preprocess(4, 4, 3, **IMAGENET)
    fed = single(gray)
    assert fed.shape[1:] == single.fed_shape == (4, 4, 3) != single.image_shape
    assert fed.dtype == np.float32
    np.testing.assert_array_equal(fed, colour(gray.repeat(3, axis=3)))
    by_hand = [(1 / 255 - 0.485) / 0.229, (1 / 255 - 0.456) / 0.224, (1 / 255 - 0.406) / 0.225]
    np.testing.assert_allclose(fed[0, 0, 1], by_hand, rtol=1e-5)


def test_one_scale_for_all_leaves_the_channels_as_they_are() -> None:
    assert Preprocess(4, 4, 1).fed_shape == (4, 4, 1)
    assert Preprocess(4, 4, 3).fed_shape == (4, 4, 3)


@pytest.mark.parametrize('channels', [1, 3])
def test_standardised_images_have_a_scale_of_their_own(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 200, (3, 8, 8, channels), np.uint8)
    standard = Preprocess(8, 8, channels, standardise=True)
    fed = standard(images)
    np.testing.assert_allclose(fed.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(fed.std((1, 2, 3)), 1, atol=1e-5)
    darker = standard.normalise(0.5 * standard.unit(images) + 0.1)
    np.testing.assert_allclose(darker, fed, atol=1e-5)
    np.testing.assert_allclose(jax.jit(standard)(images), fed, atol=1e-5)


def test_a_blank_image_is_standardised_to_zeros() -> None:
    blank = np.full((1, 4, 4, 1), 7, np.uint8)
    np.testing.assert_allclose(Preprocess(4, 4, 1, standardise=True)(blank), 0, atol=1e-6)


def test_it_comes_back_from_json_equal_and_hashable() -> None:
    standard = Preprocess(4, 4, 1, standardise=True)
    for preprocess in (Preprocess(4, 4, 1), Preprocess(4, 4, 1, **IMAGENET), standard):
        text = json.dumps(dataclasses.asdict(preprocess))
        again = Preprocess(**json.loads(text))
        assert again == preprocess and hash(again) == hash(preprocess)


@pytest.mark.parametrize(('channels', 'mean'), [(1, (0.1, 0.2)), (4, (0.1, 0.2, 0.3))])
def test_a_scale_for_other_channels_is_refused(channels: int, mean: tuple[float, ...]) -> None:
    with pytest.raises(errors.UserError, match='is for images of 1 or 3 channels'):
        Preprocess(4, 4, channels, mean=mean)
