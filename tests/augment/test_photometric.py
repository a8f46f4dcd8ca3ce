import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax.augment import filters, photometric

X = (0.2 + 0.6 * np.random.default_rng(0).random((16, 16, 1))).astype(np.float32)


@functools.cache
def results(name: str, largest: float) -> np.ndarray:
    """What the operation makes of X, with each of 600 keys."""
    operation = photometric.create({name: largest})[name]
    keys = jax.random.split(jax.random.key(0), 600)
    return np.asarray(jax.jit(jax.vmap(operation, (0, None)))(keys, X))


def changed(name: str, largest: float) -> np.ndarray:
    return np.array([(y != X).any() for y in results(name, largest)])


def test_nothing_is_made_of_zeros():
    assert photometric.create({'brightness': 0, 'noise': 0.0}) == {}
    assert list(photometric.create({'blur': 0.1, 'gamma': 0, 'jpeg': 30})) == ['blur', 'jpeg']


def test_known_values():
    image = jnp.array([[[0.2], [0.6]]])
    assert np.ravel(photometric.brightness(image, 1.5)) == pytest.approx([0.3, 0.9])
    assert np.ravel(photometric.contrast(image, 0.5)) == pytest.approx([0.3, 0.5])
    assert np.ravel(photometric.gamma(image, 2.0)) == pytest.approx([0.04, 0.36])


@pytest.mark.parametrize('name', ['brightness', 'contrast', 'gamma'])
def test_factors_are_uniform_in_their_logarithm(name):
    y = results(name, 0.5)
    if name == 'brightness':
        factors = y[:, 3, 3, 0] / X[3, 3, 0]
    elif name == 'contrast':
        factors = (y[:, 3, 3, 0] - X.mean()) / (X[3, 3, 0] - X.mean())
    else:
        factors = np.log(y[:, 3, 3, 0]) / np.log(X[3, 3, 0])
    drawn = np.log(factors)
    assert -0.501 < drawn.min() < -0.48
    assert 0.48 < drawn.max() < 0.501
    assert drawn.mean() == pytest.approx(0, abs=0.04)
    assert drawn.std() == pytest.approx(1 / 12**0.5, abs=0.02)


def test_contrast_keeps_the_mean():
    np.testing.assert_allclose(results('contrast', 0.5).mean((1, 2, 3)), X.mean(), atol=1e-6)


@pytest.mark.parametrize(
    ('name', 'largest', 'share'),
    [('blur', 0.1, 1 / 3), ('sharpness', 0.5, 1 / 2), ('noise', 0.06, 1 / 2), ('jpeg', 10, 1 / 2)],
)
def test_a_share_of_the_images_is_changed(name, largest, share):
    assert changed(name, largest).mean() == pytest.approx(share, abs=0.06)


def test_blur_is_never_wider_than_its_largest():
    least = float(filters.blur(X, 0.1 * 16).std())
    sds = results('blur', 0.1).std((1, 2, 3))[changed('blur', 0.1)]
    assert least <= sds.min() + 1e-6 < 1.1 * least + 1e-6
    assert sds.max() > 0.99 * X.std()


def test_sharpness_goes_both_ways():
    inner = slice(1, -1)
    y = results('sharpness', 0.5)[changed('sharpness', 0.5)][:, inner, inner]
    bounds = [np.asarray(filters.sharpness(X, f))[inner, inner].std() for f in (0.5, 1, 1.5)]
    sds = y.std((1, 2, 3))
    assert bounds[0] - 1e-6 <= sds.min() < np.mean(bounds[:2])
    assert np.mean(bounds[1:]) < sds.max() <= bounds[2] + 1e-6


def test_noise_has_mean_zero_and_a_uniform_sd():
    added = (results('noise', 0.06) - X)[changed('noise', 0.06)]
    sds = added.std((1, 2, 3))
    assert sds.max() < 0.06 * 1.15
    assert sds.mean() == pytest.approx(0.03, abs=0.003)
    assert added.mean() == pytest.approx(0, abs=1e-3)
    alone = photometric.noise(jax.random.key(0), jnp.zeros((99, 99, 1)), 0.2)
    assert float(alone.std()) == pytest.approx(0.2, rel=0.03)


def test_jpeg_is_one_of_the_qualities_allowed():
    allowed = np.asarray(jax.vmap(filters.jpeg, (None, 0))(X, jnp.arange(90, 96)))
    kept = results('jpeg', 90)[changed('jpeg', 90)][:60]
    away = abs(kept[:, None] - allowed).max((2, 3, 4))
    assert (away.min(1) < 1e-5).all()
    assert len(set(away.argmin(1))) == 6


def test_cutout_is_a_square_of_the_mean_cut_at_the_border():
    y = photometric.cutout(X, jnp.array([0.5, 0.125]), 6.0)
    expected = X.copy()
    expected[5:11, :5] = X.mean()
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_a_pixel_is_cut_out_where_its_middle_is_inside():
    cut = photometric.cutout(X, jnp.array([0.5, 0.5]), 5.2) != X
    assert np.flatnonzero(cut.any((1, 2))).tolist() == [5, 6, 7, 8, 9, 10]
    assert np.flatnonzero(cut.any((0, 2))).tolist() == [5, 6, 7, 8, 9, 10]


def test_cutout_is_never_larger_than_its_largest():
    cut = (results('cutout', 0.5) != X)[..., 0]
    assert cut.any(2).sum(1).max() == 8
    assert cut.any(1).sum(1).max() == 8
    # Centres at every border, and squares of less than a pixel that touch none.
    assert cut[:, 0].any()
    assert cut[:, :, -1].any()
    assert 0.35 < cut.any((1, 2)).mean() < 0.55
