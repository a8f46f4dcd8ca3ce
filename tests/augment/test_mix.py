import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import errors
from pneumo_jax.augment import mix

B = 64
# The value of an image is its number, and so is its class.
IMAGES = jnp.broadcast_to(jnp.arange(float(B))[:, None, None, None], (B, 9, 12, 1))
TARGETS = jnp.eye(B)


def kept(targets) -> np.ndarray:
    """The share of each row's own class; the rest is its neighbour's."""
    targets = np.asarray(targets)
    own = targets[np.arange(B), np.arange(B)]
    np.testing.assert_allclose(targets[np.arange(B), np.arange(B) - 1], 1 - own, atol=1e-6)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    return own


def test_off_is_none():
    assert mix.create(mixup=0, cutmix=0) is None


@pytest.mark.parametrize('alpha', [0.2, 1.0])
def test_mixup_blends_images_as_targets(alpha):
    images, targets = mix.create(mixup=alpha, cutmix=0)(jax.random.key(0), IMAGES, TARGETS)
    share = kept(targets)
    own, before = np.arange(B), (np.arange(B) - 1) % B
    expected = share * own + (1 - share) * before
    np.testing.assert_allclose(images[:, 3, 4, 0], expected, atol=1e-4)
    np.testing.assert_array_equal(images, jnp.broadcast_to(images[:, :1, :1], images.shape))
    # Beta(a, a) has variance 1 / (8 a + 4).
    assert share.std() == pytest.approx((8 * alpha + 4) ** -0.5, rel=0.25)


def test_cutmix_targets_are_the_exact_area():
    images, targets = mix.create(mixup=0, cutmix=1.0)(jax.random.key(1), IMAGES, TARGETS)
    own = np.asarray(images[..., 0]) == np.arange(B)[:, None, None]
    before = np.asarray(images[..., 0]) == ((np.arange(B) - 1) % B)[:, None, None]
    assert (own | before).all()
    np.testing.assert_allclose(kept(targets), own.mean((1, 2)), atol=1e-6)
    assert 0.1 < own.mean() < 0.9
    for box in before:  # a rectangle: as many pixels as rows times columns
        assert box.sum() == box.any(1).sum() * box.any(0).sum()


def test_cutmix_alone_never_blends_nor_rests():
    alone = jax.jit(mix.create(mixup=0, cutmix=1.0))
    for key in jax.random.split(jax.random.key(2), 12):
        images, targets = alone(key, IMAGES, TARGETS)
        assert (images == jnp.rint(images)).all() and kept(targets).min() < 0.5


def test_a_cutmix_box_has_the_area_drawn_where_nothing_clips_it():
    centres = jnp.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.0]])
    kept = mix.outside(centres, jnp.full(3, 0.84), (40, 60))
    np.testing.assert_allclose(kept.mean((1, 2)), [0.84, 0.92, 0.96], atol=1e-6)
    assert (kept[2, :8, :12] == 0).all()


def test_both_take_turns_by_batch():
    both = jax.jit(mix.create(mixup=1.0, cutmix=1.0))
    kinds = []
    for key in jax.random.split(jax.random.key(0), 24):
        images, targets = both(key, IMAGES, TARGETS)
        kept(targets)
        kinds.append(bool((images == jnp.rint(images)).all()))
    assert 6 <= sum(kinds) <= 18


def test_seeds_under_vmap_are_the_single_runs():
    both = mix.create(mixup=0.4, cutmix=1.0)
    together = jax.vmap(lambda seed: both(jax.random.key(seed), IMAGES, TARGETS))(jnp.arange(4))
    for i in range(4):
        for ours, alone in zip(together, both(jax.random.key(i), IMAGES, TARGETS), strict=True):
            np.testing.assert_allclose(ours[i], alone, atol=1e-5)


@pytest.mark.parametrize('field', ['mixup', 'cutmix'])
@pytest.mark.parametrize('alpha', [-1, 1e-45, float('nan')])
def test_alphas_that_no_share_can_be_drawn_with_are_refused(field, alpha):
    with pytest.raises(errors.UserError, match=f'{field}={alpha}'):
        mix.create(**{'mixup': 0.0, 'cutmix': 0.0, field: alpha})
