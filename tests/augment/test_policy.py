import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pneumo_jax import errors
from pneumo_jax.augment import filters, geometry, policy

X = (0.3 + 0.4 * np.random.default_rng(0).random((16, 16, 1))).astype(np.float32)
NAMES = list(policy.OPERATIONS)


def apply(name: str, level: float, image: np.ndarray = X) -> np.ndarray:
    drawn = policy.apply(jnp.asarray(NAMES.index(name)), jax.random.key(0), image, level)
    return np.asarray(drawn)


@pytest.mark.parametrize('name', NAMES)
def test_level_zero_changes_nothing_and_one_does(name):
    np.testing.assert_allclose(apply(name, 0.0), X, atol=1e-5)
    assert (abs(apply(name, 1.0) - X).max() > 0.02) == (name != 'identity')


@pytest.mark.parametrize('name', [name for name in NAMES if name not in ('identity', 'noise')])
def test_signs_differ_except_for_blur(name):
    assert np.allclose(apply(name, 0.5), apply(name, -0.5), atol=1e-6) == (name == 'blur')


@pytest.mark.parametrize('name', ['brightness', 'contrast', 'sharpness'])
def test_light_is_pillows_at_randaugments_range(name):
    picture = Image.fromarray(np.rint(X[..., 0] * 255).astype(np.uint8))
    expected = np.asarray(getattr(ImageEnhance, name.capitalize())(picture).enhance(1.9))
    ours = apply(name, 1.0, np.asarray(picture, np.float32)[..., None] / 255)[..., 0]
    np.testing.assert_allclose(ours * 255, expected, atol=2)


def test_translation_and_shear_are_randaugments():
    np.testing.assert_allclose(apply('translate_x', 5 / 16 / 0.45)[:, :11], X[:, 5:], atol=1e-5)
    np.testing.assert_allclose(apply('translate_y', -5 / 16 / 0.45)[5:], X[:11], atol=1e-5)
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32)[None, :, None] / 16, X.shape)
    sheared = apply('shear', 1.0, ramp)
    assert (sheared[12, 8] - sheared[4, 8]) * 16 / 8 == pytest.approx(0.3, abs=1e-3)


def test_the_largest_changes_are_those_that_are_stated():
    disc = 0.5 + 0.4 * np.cos(np.mgrid[-8:8, -8:8].sum(0)[..., None] / 5).astype(np.float32)
    turned = geometry.sample(disc, geometry.linear(degrees=30.0), jnp.zeros(2))
    np.testing.assert_allclose(apply('rotate', 1.0, disc), turned, atol=1e-6)
    np.testing.assert_allclose(apply('gamma', -1.0), X ** np.exp(-0.5), atol=1e-6)
    np.testing.assert_allclose(apply('blur', 1.0), filters.blur(X, 0.03 * 16), atol=1e-6)
    gray = np.full((99, 99, 1), 0.5, np.float32)
    assert apply('noise', 1.0, gray).std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize('name', list(policy.POLICIES))
def test_every_operation_is_chosen_and_the_range_kept(name, monkeypatch):
    marks = {n: lambda key, image, level, i=i: image + i / 64 for i, n in enumerate(NAMES)}
    monkeypatch.setattr(policy, 'OPERATIONS', marks)
    keys = jax.random.split(jax.random.key(0), 2000)
    run = jax.vmap(policy.create(name), (0, None))(keys, jnp.zeros((2, 2, 1)))
    counts = np.bincount(np.rint(np.asarray(run)[:, 0, 0, 0] * 64).astype(int))
    one = np.full(len(NAMES), 1 / len(NAMES))
    expected = np.convolve(one, one) if name == 'randaugment' else one
    assert len(counts) == len(expected)
    np.testing.assert_allclose(counts / 2000, expected, atol=0.025)


@pytest.mark.parametrize(
    ('name', 'levels'),
    [('randaugment', [-0.3, 0.3]), ('trivialaugment', [i / 30 for i in range(-30, 31)])],
)
def test_magnitudes(name, levels, monkeypatch):
    monkeypatch.setattr(
        policy, 'OPERATIONS', {'show': lambda key, x, level: x * 0 + level / 4 + 0.5}
    )
    keys = jax.random.split(jax.random.key(0), 2000)
    shown = jax.vmap(policy.create(name), (0, None))(keys, jnp.zeros((2, 2, 1)))
    drawn = np.unique(np.rint(np.asarray(shown)[:, 0, 0, 0] * 120 - 60).astype(int))
    np.testing.assert_array_equal(drawn, np.rint(np.array(levels) * 30))


def test_an_unknown_policy_is_refused_with_the_nearest():
    with pytest.raises(errors.UserError, match="did you mean 'randaugment'"):
        policy.create('randaugmnt')
