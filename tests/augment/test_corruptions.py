"""Against plain numpy and Pillow versions of what the package medmnistc does."""

import functools
import io

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pneumo_jax.augment import corruptions

GRAIN = np.random.default_rng(0).normal(size=(48, 40))
Y, X = np.mgrid[:48, :40] / 40
PICTURE = np.clip(110 + 80 * np.sin(4 * Y) * np.cos(5 * X) + 6 * GRAIN, 0, 255).astype(np.uint8)
# Copied from the package's registry, entry 'pneumoniamnist'.
PIXELATE, JPEG = [0.8, 0.7, 0.6, 0.5, 0.40], [50, 30, 15, 10, 7]
UP, DOWN = [1.1, 1.2, 1.3, 1.4, 1.6], [0.9, 0.8, 0.7, 0.6, 0.4]


def pixelate(image: Image.Image, factor: float) -> Image.Image:
    small = int(image.width * factor), int(image.height * factor)
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BOX)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=quality)
    return Image.open(file)


def gaussian_blur(image: Image.Image, size: int) -> np.ndarray:
    places = np.linspace(-(size - 1) / 2, (size - 1) / 2, size)
    weights = np.exp(-0.5 * (places / (size * 0.15 + 0.35)) ** 2)
    weights /= weights.sum()
    smooth = np.pad(np.asarray(image, float), size // 2, 'reflect')
    for axis in (0, 1):
        smooth = np.apply_along_axis(np.convolve, axis, smooth, weights, 'valid')
    return np.rint(smooth)


def gamma(image: Image.Image, exponent: float) -> Image.Image:
    return image.point([int(255.999 * (i / 255) ** exponent) for i in range(256)])


def brightness(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


REFERENCES = {
    'pixelate': (pixelate, PIXELATE),
    'jpeg_compression': (jpeg, JPEG),
    'gaussian_blur': (gaussian_blur, [3, 5, 7, 9, 11]),
    'brightness_up': (brightness, [1.1, 1.2, 1.3, 1.4, 1.5]),
    'brightness_down': (brightness, [0.9, 0.8, 0.7, 0.6, 0.5]),
    'contrast_up': (contrast, UP),
    'contrast_down': (contrast, DOWN),
    'gamma_corr_up': (gamma, UP),
    'gamma_corr_down': (gamma, DOWN),
}


def noisy(name: str, level: float, amount: float, n: int = 200_000) -> np.ndarray:
    """Pixels of one gray level, as RGB with a noise for each channel, turned gray by Pillow."""
    rng = np.random.default_rng(0)
    image = np.full((n // 100, 100, 3), level)
    if name == 'gaussian_noise':
        image = image + rng.normal(size=image.shape, scale=amount)
    elif name == 'speckle_noise':
        image = image + image * rng.normal(size=image.shape, scale=amount)
    elif name == 'shot_noise':
        image = rng.poisson(image * amount) / amount
    else:
        salt = rng.random(image.shape) < 0.5
        image = np.where(rng.random(image.shape) <= amount, salt, image)
    colour = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(colour).convert('L')) / 255


NOISES = {
    'gaussian_noise': [0.04, 0.05, 0.06, 0.07, 0.08],
    'speckle_noise': [0.05, 0.07, 0.10, 0.15, 0.20],
    'impulse_noise': [0.005, 0.01, 0.013, 0.017, 0.02],
    'shot_noise': [300, 200, 150, 100, 80],
}


@functools.cache
def compiled(name: str):
    return jax.jit(corruptions.CORRUPTIONS[name])


def test_the_thirteen_are_there():
    assert set(corruptions.CORRUPTIONS) == {*REFERENCES, *NOISES}
    assert len(corruptions.CORRUPTIONS) == 13


@pytest.mark.parametrize('name', list(REFERENCES))
@pytest.mark.parametrize('severity', corruptions.SEVERITIES)
def test_what_is_not_random_is_the_packages(name, severity):
    change, amounts = REFERENCES[name]
    expected = np.asarray(change(Image.fromarray(PICTURE), amounts[severity - 1]), float)
    ours = compiled(name)(jax.random.key(0), PICTURE[..., None].astype(np.float32) / 255, severity)
    away = abs(np.asarray(ours)[..., 0] * 255 - expected)
    assert abs(PICTURE - expected).mean() > 2 * away.mean()
    # Pillow rounds in between, or cuts off; a JPEG coefficient half-way may go to either side.
    assert np.quantile(away, 0.9) < 1.2
    assert name == 'jpeg_compression' or away.max() < 1.6


@pytest.mark.parametrize('name', list(NOISES))
@pytest.mark.parametrize('severity', corruptions.SEVERITIES)
def test_noise_has_the_packages_mean_and_deviation(name, severity):
    flat = np.full((2000, 100, 1), 0.4, np.float32)
    ours = np.asarray(compiled(name)(jax.random.key(0), flat, severity))
    expected = noisy(name, 0.4, NOISES[name][severity - 1])
    assert ours.mean() == pytest.approx(expected.mean(), abs=1.5e-3)
    assert ours.std() == pytest.approx(expected.std(), rel=0.04)
    assert (ours == flat).mean() == pytest.approx(
        (1 - NOISES[name][severity - 1]) ** 3 if name == 'impulse_noise' else 0, abs=0.01
    )


@pytest.mark.parametrize('name', list(NOISES))
def test_colour_has_a_noise_for_each_channel(name):
    flat = np.full((30, 30, 3), 0.4, np.float32)
    ours = np.asarray(corruptions.CORRUPTIONS[name](jax.random.key(0), flat, 5))
    assert ours.shape == flat.shape
    assert (ours[..., 0] != ours[..., 1]).any()


@pytest.mark.parametrize('shape', [(1, 1), (2, 300)])
def test_the_thinnest_images_are_corrupted_too(shape):
    images = np.full((40, *shape, 1), 100, np.uint8)
    assert corruptions.corrupted(images, 0).shape == images.shape


def test_every_corruption_and_severity_is_drawn_alike(monkeypatch):
    shown = {
        name: lambda key, image, severity, i=i: image + (5 * i + severity) / 255
        for i, name in enumerate(corruptions.CORRUPTIONS)
    }
    monkeypatch.setattr(corruptions, 'CORRUPTIONS', shown)
    drawn = corruptions.corrupted(np.zeros((6500, 1, 1, 1), np.uint8), 0).ravel()
    counts = np.bincount(drawn, minlength=66)[1:]
    assert len(counts) == 65 and 60 < counts.min() <= counts.max() < 140


def test_index_and_seed_decide_which_corruption_an_image_gets():
    images = np.repeat(PICTURE[None, :16, :16, None], 24, axis=0)
    shifted = corruptions.corrupted(images, 3)
    assert shifted.dtype == np.uint8
    assert shifted.shape == images.shape
    np.testing.assert_array_equal(corruptions.corrupted(images[:6], 3), shifted[:6])
    assert (corruptions.corrupted(images[:6], 4) != shifted[:6]).any()
    # Of 65 kinds 24 images draw about 20 different ones.
    assert len(np.unique(shifted, axis=0)) > 14
    assert (shifted != images).any((1, 2, 3)).mean() > 0.9
    assert abs(shifted - images.astype(float)).mean() < 30
