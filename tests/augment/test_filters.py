import io

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pneumo_jax.augment import filters


def bytes_of(size: int = 40) -> np.ndarray:
    """A smooth picture with an edge and some grain, as uint8 [h w]."""
    y, x = np.mgrid[:size, : size + 3] / size
    picture = 120 + 70 * np.sin(5 * y) * np.cos(4 * x) + 40 * (x > 0.6)
    grain = np.random.default_rng(0).normal(size=picture.shape) * 4
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def as_image(picture: np.ndarray) -> np.ndarray:
    return picture[..., None].astype(np.float32) / 255


def gaussian(n: int, sd: float) -> np.ndarray:
    weights = np.exp(-0.5 * (np.subtract.outer(np.arange(n), np.arange(n)) / sd) ** 2)
    return weights / weights.sum(1, keepdims=True)


def test_blur_is_a_gaussian_in_both_directions():
    x = as_image(bytes_of())
    expected = gaussian(40, 1.7) @ x[..., 0] @ gaussian(43, 1.7).T
    np.testing.assert_allclose(filters.blur(x, 1.7)[..., 0], expected, atol=1e-5)


def test_blur_keeps_the_mean_and_lowers_the_variance():
    x = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    sds = [float(filters.blur(x, sd).std()) for sd in (0.0, 0.5, 1.0, 2.0)]
    assert sds == sorted(sds, reverse=True)
    assert sds[3] < 0.5 * sds[0]
    assert float(filters.blur(x, 1.0).mean()) == pytest.approx(x.mean(), abs=0.01)
    np.testing.assert_allclose(filters.blur(np.full_like(x, 0.3), 2.0), 0.3, atol=1e-6)


def test_blur_of_nothing_is_the_same_image():
    x = as_image(bytes_of())
    np.testing.assert_allclose(filters.blur(x, 0.0), x, atol=1e-6)


@pytest.mark.parametrize('factor', [0.0, 0.5, 1.0, 1.4, 2.0])
def test_sharpness_is_pillows(factor):
    picture = bytes_of()
    expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(picture)).enhance(factor))
    ours = np.clip(filters.sharpness(as_image(picture), factor), 0, 1) * 255
    # Pillow rounds what is smoothed, and cuts off the fraction of the result.
    np.testing.assert_allclose(ours[..., 0], expected, atol=1.55)
    assert abs(ours[..., 0] - expected).mean() < 0.8


@pytest.mark.parametrize('quality', [95, 75, 50, 30, 10])
def test_jpeg_is_what_libjpeg_leaves(quality):
    picture, file = bytes_of(), io.BytesIO()
    Image.fromarray(picture).save(file, 'JPEG', quality=quality)
    expected = np.asarray(Image.open(file), np.float32)
    ours = np.clip(filters.jpeg(as_image(picture), quality), 0, 1)[..., 0] * 255
    away = abs(ours - expected)
    # The standard asks no more: libjpeg's cosines are integers, and a coefficient half-way between
    # two multiples may go to either.
    assert np.quantile(away, 0.9) < 1
    assert away.mean() < 0.6
    assert abs(picture - expected).mean() > 2 * away.mean()


@pytest.mark.parametrize('quality', [1, 10, 49, 50, 90, 100])
def test_the_table_is_libjpegs(quality):
    # A cosine of 100.37 gray levels becomes the nearest multiple of its own step.
    file = io.BytesIO()
    Image.new('L', (8, 8)).save(file, 'JPEG', quality=quality)
    (steps,) = Image.open(file).quantization.values()
    rows, back = filters._cosines(8)
    for place, step in enumerate(steps):
        waves = np.zeros((8, 8))
        waves[divmod(place, 8)] = 100.37 / 255
        kept = filters.jpeg((back @ waves @ back.T)[..., None] + 128 / 255, quality)[..., 0]
        found = (rows @ (np.asarray(kept) - 128 / 255) @ rows.T)[divmod(place, 8)] * 255
        assert found == pytest.approx(np.rint(100.37 / step) * step, abs=0.01)


def test_jpeg_loses_more_at_lower_quality():
    x = as_image(bytes_of())
    lost = [float(abs(filters.jpeg(x, quality) - x).mean()) for quality in (95, 50, 10)]
    assert lost == sorted(lost)
    assert lost[0] < 0.01 < lost[2]


def test_jpeg_cuts_an_image_into_blocks():
    x = np.random.default_rng(0).random((16, 16, 1)).astype(np.float32)
    other = x.copy()
    other[3, 12] = 1 - other[3, 12]
    changed = np.array(filters.jpeg(x, 10) != filters.jpeg(other, 10))[..., 0]
    assert changed[:8, 8:].any()
    changed[:8, 8:] = False
    assert not changed.any()


def test_jpeg_takes_each_channel_by_itself_and_quality_as_an_array():
    x = np.random.default_rng(0).random((9, 13, 3)).astype(np.float32)
    each = [filters.jpeg(x[..., i : i + 1], 20)[..., 0] for i in range(3)]
    together = jax.jit(filters.jpeg)(x, 20)
    assert together.shape == x.shape
    np.testing.assert_allclose(together, np.stack(each, axis=-1), atol=1e-4)
