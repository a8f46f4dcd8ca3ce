import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.ndimage import map_coordinates

from pneumo_jax.augment import geometry

NOWHERE = jnp.zeros(2)


def image(height: int = 12, width: int = 12, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, channels)).astype(np.float32)


def operation(**fields):
    off = {'crop': 0, 'flip': False, 'rotate': 0, 'shear': 0}
    return geometry.create(**{**off, **fields})


@pytest.mark.parametrize(('height', 'width', 'channels'), [(12, 12, 1), (9, 14, 3)])
def test_sample_is_map_coordinates(height, width, channels):
    x = image(height, width, channels)
    matrix, shift = np.array([[0.7, -0.4], [0.5, 0.9]], np.float32), np.array([0.2, -0.1])
    centre = np.array([height - 1, width - 1]) / 2
    pixels = np.stack(np.mgrid[:height, :width], axis=-1) - centre
    places = pixels @ matrix.T + shift * [height, width] + centre
    assert places.min() < 0
    expected = [
        map_coordinates(x[..., i], list(np.moveaxis(places, -1, 0)), order=1, mode='nearest')
        for i in range(channels)
    ]
    ours = geometry.sample(x, jnp.asarray(matrix), jnp.asarray(shift, jnp.float32))
    np.testing.assert_allclose(ours, np.stack(expected, axis=-1), atol=2e-6)


def test_sample_at_the_same_places_is_the_same_image():
    x = image(7, 10, 3)
    np.testing.assert_array_equal(geometry.sample(x, geometry.linear(), NOWHERE), x)


def test_mirror_is_a_reversed_row():
    x = image(7, 10)
    turned = geometry.sample(x, geometry.linear(mirror=-1.0), NOWHERE)
    np.testing.assert_array_equal(turned, x[:, ::-1])


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_quarter_turns(quarters):
    x = image()
    turned = geometry.sample(x, geometry.linear(degrees=90.0 * quarters), NOWHERE)
    np.testing.assert_allclose(turned, np.rot90(x, quarters), atol=1e-5)


def test_shear_by_45_degrees_shifts_each_row_by_its_height():
    x = image(9, 9)
    sheared = np.asarray(geometry.sample(x, geometry.linear(slant=45.0), NOWHERE))
    for row in range(9):
        places = np.clip(np.arange(9) + row - 4, 0, 8)
        np.testing.assert_allclose(sheared[row], x[row, places], atol=1e-5)


def test_shift_repeats_the_border():
    x = image(8, 8)
    moved = geometry.sample(x, geometry.linear(), jnp.array([0.25, 0.0]))
    np.testing.assert_allclose(moved, x[[2, 3, 4, 5, 6, 7, 7, 7]], atol=1e-6)


def test_nothing_on_changes_no_image():
    x = image(6, 8)
    keys = jax.random.split(jax.random.key(0), 20)
    same = jax.vmap(operation(), (0, None))(keys, x)
    np.testing.assert_array_equal(same, np.broadcast_to(x, same.shape))


@pytest.mark.parametrize('least', [0.08, 0.5, 0.95, 1.0])
def test_crops_have_the_area_and_ratio_asked_for_and_lie_inside(least):
    keys = jax.random.split(jax.random.key(0), 4000)
    sides, shift = (np.asarray(x, float) for x in jax.vmap(lambda k: geometry.view(k, least))(keys))
    area, ratio = sides.prod(1), sides[:, 1] / sides[:, 0]
    assert least - 1e-5 < area.min() <= least + 0.01
    assert area.max() <= 1
    assert area.mean() == pytest.approx((1 + least) / 2, abs=0.02)
    assert (ratio > 0.75 - 1e-5).all()
    assert (ratio < 4 / 3 + 1e-5).all()
    assert (abs(shift) + sides / 2 <= 0.5 + 1e-6).all()
    if least < 0.9:
        assert np.log(ratio).min() < np.log(0.78)
        assert np.log(ratio).max() > np.log(1.28)
        assert np.log(ratio).mean() == pytest.approx(0, abs=0.02)
        margins = abs(shift) / np.maximum(1 - sides, 1e-3)
        assert margins.max() > 0.49


def test_a_crop_shows_a_part_enlarged():
    ramp = jnp.broadcast_to(jnp.arange(32.0)[:, None, None], (32, 32, 1))
    sides, shift = geometry.view(jax.random.split(jax.random.key(3), 4)[0], 0.25)
    rows = operation(crop=0.25)(jax.random.key(3), ramp)[:, 0, 0]
    expected = (np.arange(32) - 15.5) * float(sides[0]) + 15.5 + float(shift[0]) * 32
    np.testing.assert_allclose(rows, np.clip(expected, 0, 31), atol=1e-4)


def test_half_of_the_images_are_flipped():
    x = image(4, 4)
    keys = jax.random.split(jax.random.key(0), 1000)
    flipped = np.asarray(jax.vmap(operation(flip=True), (0, None))(keys, x))
    mirrored = (flipped == x[:, ::-1]).all((1, 2, 3))
    assert (mirrored | (flipped == x).all((1, 2, 3))).all()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize('field', ['rotate', 'shear'])
def test_angles_stay_within_the_largest_and_go_both_ways(field):
    # To first order a ramp along x gains a multiple of the row number: the tangent, or the sine.
    ramp = jnp.broadcast_to(jnp.arange(21.0)[None, :, None], (21, 21, 1))
    keys = jax.random.split(jax.random.key(0), 300)
    turned = jax.vmap(operation(**{field: 10.0}), (0, None))(keys, ramp)
    slope = np.asarray(turned[:, 15, 10, 0] - turned[:, 5, 10, 0]) / 10
    angles = np.rad2deg(np.arcsin(slope) if field == 'rotate' else np.arctan(slope))
    assert (abs(angles) <= 10.001).all()
    assert angles.min() < -9
    assert angles.max() > 9
    assert angles.mean() == pytest.approx(0, abs=1.2)
