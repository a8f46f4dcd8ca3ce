"""What an image tells at a glance."""

import numpy as np
import pytest

from pneumo_jax.data import look

RNG = np.random.default_rng(0)


def lit(levels: np.ndarray, side: int = 12) -> np.ndarray:
    """Noise around a gray level for every image."""
    noise = RNG.normal(0, 10, (len(levels), side, side, 1))
    return np.clip(levels[:, None, None, None] + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(('height', 'width'), [(28, 28), (30, 25), (3, 9), (1, 1)])
def test_a_blank_image_has_its_gray_level_and_no_edges(height: int, width: int) -> None:
    blank = np.full((2, height, width, 1), 100, np.uint8)
    found = look.features(blank)
    assert found.shape == (2, min(height, 4) * min(width, 4) + 1)
    np.testing.assert_allclose(found[:, :-1], 100)
    np.testing.assert_allclose(found[:, -1], 0)


def test_a_thumbnail_is_the_mean_of_squares_and_of_colours() -> None:
    images = RNG.integers(0, 256, (3, 8, 12, 3), np.uint8)
    small = images.reshape(3, 4, 2, 4, 3, 3).mean((2, 4, 5)).transpose(0, 2, 1)
    np.testing.assert_allclose(look.features(images)[:, :-1], small.reshape(3, 16), rtol=1e-5)


def test_sharpness_is_among_what_is_told() -> None:
    checks = np.indices((16, 16)).sum(0) % 2 * 100
    blocks = (np.indices((16, 16)) // 4).sum(0) % 2 * 100
    fine, coarse = look.features(np.stack([checks, blocks]).astype(np.uint8)[..., None])[:, -1]
    assert fine > coarse


def test_many_images_are_looked_at_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    images = RNG.integers(0, 256, (10, 6, 6, 1), np.uint8)
    whole = look.features(images)
    monkeypatch.setattr(look, 'CHUNK', 3)
    np.testing.assert_array_equal(look.features(images), whole)


def test_who_looks_like_the_other_class_is_told() -> None:
    labels = np.arange(200) % 2
    against = np.arange(200) < 20
    images = lit(np.where(labels ^ against, 160, 90))
    own = look.own_class(images, labels, np.arange(200), seed=0)
    assert own[against].max() < 0.5 < own[~against].min()


def test_three_classes() -> None:
    labels = np.arange(150) % 3
    own = look.own_class(lit(60 + 60 * labels), labels + 4, np.arange(150), seed=0)
    assert own.shape == (150,) and own.min() > 0.5


def test_no_image_is_told_by_others_of_its_patient() -> None:
    """Patients that look alike, each in its own way, which says nothing of the other patients."""
    patients = np.arange(320) % 16
    labels = (patients % 2).astype(np.int32)
    faces = RNG.integers(0, 256, (16, 4, 4, 1), np.uint8)
    own = look.own_class(faces[patients], labels, patients, seed=0)
    alone = look.own_class(faces[patients], labels, np.arange(320), seed=0)
    assert (alone > 0.5).mean() > 0.95
    assert (own > 0.5).mean() < 0.75
