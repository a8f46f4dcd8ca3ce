"""Val framed otherwise: crops of the image, the same whenever they are asked for."""

import numpy as np
import pytest

from pneumo_jax.augment import framing
from pneumo_jax.fields import CROPS


def gradients(n: int, height: int, width: int) -> np.ndarray:
    """Images whose gray levels say where a pixel was: down in the first channel, across in the
    second."""
    down, across = np.meshgrid(
        np.linspace(0, 255, height), np.linspace(0, 255, width), indexing='ij'
    )
    return np.repeat(np.stack([down, across], -1)[None], n, 0).astype(np.uint8)


@pytest.mark.parametrize(('height', 'width'), [(28, 28), (40, 24)])
def test_crops_are_of_half_the_area_and_more(height: int, width: int) -> None:
    found = framing.reframed(gradients(60, height, width)).astype(float)
    assert found.shape == (60 * CROPS, height, width, 2)
    seen = (found.max((1, 2)) - found.min((1, 2))) / 255  # of the height and the width
    area = seen.prod(1)
    assert area.min() > 0.5 - 0.12, 'a pixel each side is lost to the resampling'
    assert area.max() > 0.9 and area.min() < 0.5 + 0.1, 'and all of these'
    centres = (found.max((1, 2)) + found.min((1, 2))) / 2
    assert centres.std(0).min() > 5, 'of any place'


def test_an_images_crops_are_its_own_and_stay_the_same() -> None:
    images = gradients(7, 28, 28)
    found = framing.reframed(images).reshape(CROPS, 7, 28, 28, 2)
    np.testing.assert_array_equal(framing.reframed(images).reshape(found.shape), found)
    few = framing.reframed(images[:3]).reshape(CROPS, 3, 28, 28, 2)
    np.testing.assert_array_equal(few, found[:, :3])
    assert len({image.tobytes() for image in found.reshape(-1, 28, 28, 2)}) == 7 * CROPS
