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
