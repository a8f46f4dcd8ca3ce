"""Mirror images and crops, whose probabilities are averaged."""

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import errors
from pneumo_jax.augment import views

IMAGES = np.random.default_rng(0).random((2, 16, 24, 1)).astype(np.float32)


def pillow(image: np.ndarray, left: int, top: int) -> np.ndarray:
    """A crop of 14 x 21 pixels at the size of the whole, as Pillow enlarges it."""
    crop = Image.fromarray(image[top : top + 14, left : left + 21, 0])
    return np.asarray(crop.resize((24, 16), Image.Resampling.BILINEAR))


def test_none_and_the_mirror_image() -> None:
    assert views.create('') is None
    mirrored = views.create('flip')
    assert mirrored is not None
    np.testing.assert_array_equal(mirrored(IMAGES), [IMAGES, IMAGES[:, :, ::-1]])


def test_crops_are_of_the_corners_and_the_centre_and_mirrored() -> None:
    cropped = views.create('flip_crop')
    assert cropped is not None
    found = np.asarray(cropped(IMAGES))
    assert found.shape == (12, *IMAGES.shape)
    np.testing.assert_array_equal(found[0], IMAGES)
    np.testing.assert_array_equal(found[1::2], found[::2, :, :, ::-1])
    places = [(0, 0), (3, 0), (0, 2), (3, 2), (1, 1)]
    for crops, place in zip(found[2::2], places, strict=True):
        for crop, image in zip(crops, IMAGES, strict=True):
            np.testing.assert_allclose(crop[..., 0], pillow(image, *place), atol=1e-6)


def test_another_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(errors.UserError, match='flip_crop'):
        views.create('crops')
