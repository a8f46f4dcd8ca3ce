"""Masked auto-encoding: what is hidden, and that it is not seen."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import models
from pneumo_jax.models import mae

FIELDS: dict[str, Any] = {'patch': 4, 'width': 12, 'depth': 1, 'heads': 3}
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 14, 16, 1)), jnp.float32)
KEYS = {'mask': jax.random.key(1)}


@pytest.fixture(scope='module')
def case() -> tuple[mae.MAE, Any]:
    model = mae.MAE(num_classes=0, decoder_width=32, decoder_depth=1, **FIELDS)
    return model, model.init({'params': jax.random.key(0), **KEYS}, IMAGES, train=False)


def test_patches_and_back() -> None:
    patches = mae.patchified(IMAGES, 4)
    assert patches.shape == (2, 16, 16)
    np.testing.assert_array_equal(patches[0, 1].reshape(4, 4), IMAGES[0, :4, 4:8, 0])
    np.testing.assert_array_equal(mae.unpatchified(patches, 4, (14, 16, 1)), IMAGES)


def test_three_quarters_are_hidden_others_in_every_image(case: tuple[mae.MAE, Any]) -> None:
    model, variables = case
    guess, hidden = model.apply(variables, IMAGES, train=False, rngs=KEYS)
    assert guess.shape == (2, 16, 16)
    np.testing.assert_array_equal(hidden.sum(1), [12, 12])
    assert (hidden[0] != hidden[1]).any()


def test_no_guess_depends_on_hidden_pixels(case: tuple[mae.MAE, Any]) -> None:
    model, variables = case
    guess, hidden = model.apply(variables, IMAGES, train=False, rngs=KEYS)
    noise = mae.unpatchified(jnp.broadcast_to(hidden[..., None], (2, 16, 16)), 4, (14, 16, 1))
    again, _ = model.apply(variables, IMAGES + noise, train=False, rngs=KEYS)
    np.testing.assert_array_equal(again, guess)
    other, _ = model.apply(variables, IMAGES + (1 - noise), train=False, rngs=KEYS)
    assert np.abs(other - guess).max() > 1e-4


def test_the_encoder_has_the_parameters_of_a_vit(case: tuple[mae.MAE, Any]) -> None:
    _, variables = case
    encoder = {k: v for k, v in variables['params'].items() if not k.startswith(mae.DECODER)}
    vit = models.create('vit', num_classes=3, **FIELDS)
    own: Any = vit.init(jax.random.key(0), IMAGES, train=False)['params']
    assert encoder.keys() == own.keys() - {'head'}
    jax.tree.map(
        lambda a, b: np.testing.assert_equal(a.shape, b.shape),
        encoder,
        {name: own[name] for name in encoder},
    )
