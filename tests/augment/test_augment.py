import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pneumo_jax import augment, errors

OFF = {
    **dict.fromkeys(('crop', 'rotate', 'shear', 'brightness', 'contrast', 'gamma'), 0.0),
    **dict.fromkeys(('blur', 'noise', 'sharpness', 'cutout'), 0.0),
    'flip': False,
    'jpeg': 0,
    'policy': '',
}
ON = {'crop': 0.2, 'flip': True, 'rotate': 10.0, 'shear': 5.0, 'brightness': 0.4, 'contrast': 0.4}
ON |= {'gamma': 0.5, 'blur': 0.03, 'noise': 0.06, 'jpeg': 30, 'sharpness': 0.5, 'cutout': 0.3}
ON |= {'policy': 'trivialaugment'}
IMAGES = np.random.default_rng(0).random((8, 16, 16, 1)).astype(np.float32)


@functools.cache
def compiled(*names: str):
    return jax.jit(augment.create(**{**OFF, **{name: ON[name] for name in names}}))


def run(*names: str, seed: int = 0, images: np.ndarray = IMAGES) -> np.ndarray:
    return np.asarray(compiled(*names)(jax.random.key(seed), images))


def test_everything_off_is_none():
    assert augment.create(**OFF) is None


@pytest.mark.parametrize('name', list(ON))
def test_each_field_alone_changes_images_within_bounds(name):
    images = IMAGES.repeat(4, axis=0)  # none of 8 is changed by chance, of 32 not
    result = run(name, images=images)
    assert result.shape == images.shape
    assert result.dtype == np.float32
    assert (result != images).any()
    assert result.min() >= 0
    assert result.max() <= 1


def test_larger_images_are_shrunk_to_the_mean_of_squares():
    large = np.random.default_rng(1).random((4, 32, 48, 1)).astype(np.float32)
    shrunk = jax.jit(augment.create(**OFF, shrink=4))(jax.random.key(0), large)
    np.testing.assert_allclose(shrunk, large.reshape(4, 8, 4, 12, 4, 1).mean((2, 4)), atol=1e-6)


def test_light_falls_on_shrunk_images_as_on_small_ones():
    lit = {'brightness': 0.4, 'blur': 0.03, 'noise': 0.06, 'cutout': 0.3}
    large = IMAGES.repeat(2, 1).repeat(2, 2)
    shrunk = jax.jit(augment.create(**OFF | lit, shrink=2))(jax.random.key(2), large)
    small = jax.jit(augment.create(**OFF | lit))(jax.random.key(2), IMAGES)
    np.testing.assert_allclose(shrunk, small, atol=1e-5)


def test_a_crop_of_a_larger_image_has_what_the_small_one_lost():
    """Stripes of one pixel at twice the size are gray at one, and a narrow crop shows them."""
    stripes = np.tile(np.float32([0, 1]), (64, 64, 32))[..., None]
    crop = jax.jit(augment.create(**OFF | {'crop': 0.1}, shrink=2))
    seen = np.asarray(crop(jax.random.key(0), stripes))
    assert seen.shape == (64, 32, 32, 1)
    assert seen.std((1, 2)).max() > 0.2
    small = jax.jit(augment.create(**OFF | {'crop': 0.1}))
    gray = stripes.reshape(64, 32, 2, 32, 2, 1).mean((2, 4))
    np.testing.assert_allclose(small(jax.random.key(0), gray), 0.5)


def test_a_key_decides_and_images_differ():
    same = np.broadcast_to(IMAGES[:1], IMAGES.shape)
    first = run(*ON, images=same)
    np.testing.assert_array_equal(first, run(*ON, images=same))
    assert (first != run(*ON, images=same, seed=1)).any((1, 2, 3)).all()
    assert (first[1:] != first[:-1]).any((1, 2, 3)).all()


def test_an_image_depends_on_no_other():
    others = IMAGES.copy()
    others[1:] = 0.5
    np.testing.assert_allclose(run(*ON, images=others)[0], run(*ON)[0], atol=1e-5)


def test_eager_is_compiled():
    names = ('crop', 'contrast', 'noise')
    eager = augment.create(**{**OFF, **{name: ON[name] for name in names}})
    np.testing.assert_allclose(eager(jax.random.key(0), IMAGES), run(*names), atol=1e-5)


def test_seeds_under_vmap_are_the_single_runs():
    many = jax.jit(jax.vmap(lambda seed: compiled(*ON)(jax.random.key(seed), IMAGES)))
    for seed, result in enumerate(many(jnp.arange(3))):
        np.testing.assert_allclose(result, run(*ON, seed=seed), atol=1e-4)


def test_four_devices_are_one():
    mesh = Mesh(np.array(jax.devices()), ('data',))
    assert mesh.size == 4
    split = jax.device_put(IMAGES, NamedSharding(mesh, PartitionSpec('data')))
    np.testing.assert_allclose(compiled(*ON)(jax.random.key(0), split), run(*ON), atol=1e-4)


@pytest.mark.parametrize('other', ['flip', 'rotate', 'contrast', 'blur', 'jpeg', 'cutout'])
def test_switching_one_on_changes_nothing_that_brightness_draws(other):
    def factors(*names: str) -> np.ndarray:
        flat = np.full((8, 16, 16, 1), 0.5, np.float32)  # which those others leave flat
        return run(*names, images=flat)[:, 8, 8, 0]

    alone = factors('brightness')
    assert len(np.unique(alone)) == 8
    np.testing.assert_allclose(factors('brightness', other), alone, atol=0.01)


def test_switching_noise_on_leaves_the_others_and_the_images_it_spares():
    names = [name for name in ON if name not in ('noise', 'jpeg', 'cutout', 'policy')]
    images = 0.3 + 0.2 * IMAGES.repeat(8, axis=0)
    without, noisy = run(*names, images=images), run(*names, 'noise', images=images)
    spared = (run('noise', images=images) == images).all((1, 2, 3))
    assert 0 < spared.sum() < 64
    np.testing.assert_allclose(noisy[spared], without[spared], atol=1e-5)
    away = abs(noisy - without)[~spared]
    assert away.max((1, 2, 3)).min() > 1e-4
    assert away.mean() < 0.06


def test_geometry_draws_the_same_whatever_is_on_with_it():
    cropped, both = run('crop'), run('crop', 'flip')
    mirrored = (abs(both - cropped[:, :, ::-1]) < 1e-5).all((1, 2, 3))
    assert (mirrored | (abs(both - cropped) < 1e-5).all((1, 2, 3))).all()
    assert mirrored.any()


@pytest.mark.parametrize(
    ('field', 'value', 'words'),
    [
        ('crop', 1.5, 'augment.crop=1.5: give a number from 0 to 1'),
        ('jpeg', 96, 'augment.jpeg=96: give a number from 0 to 95'),
        ('gamma', -0.1, 'augment.gamma=-0.1: give a number from 0 to 5'),
        ('noise', float('nan'), 'augment.noise=nan'),
        ('policy', 'trivial', "did you mean 'trivialaugment'"),
    ],
)
def test_what_cannot_be_is_refused(field, value, words):
    with pytest.raises(errors.UserError, match=words):
        augment.create(**{**OFF, field: value})
