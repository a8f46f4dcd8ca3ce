"""The head of every model, and what it sees."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import models
from pneumo_jax.models import heads, layers

SMALL: dict[str, dict[str, Any]] = {
    'mlp': {'hidden': 8},
    'cnn_bn_dropout': {'features': (4, 4), 'hidden': 8},
    'resnet18': {'blocks': (1,), 'width': 4},
    'vit': {'patch': 8, 'width': 12, 'depth': 1, 'heads': 3},
}
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(3, 16, 16, 1)), jnp.float32)


@pytest.mark.parametrize('name', models.MODELS)
def test_every_model_has_a_head(name: str) -> None:
    model = models.create(name, num_classes=5)
    init = functools.partial(model.init, train=False)
    params = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))['params']
    assert params[heads.name(params)]['kernel'].shape[1] == 5


@pytest.mark.parametrize('name', SMALL)
def test_the_head_maps_features_to_logits(name: str) -> None:
    model = models.create(name, num_classes=5, **SMALL[name])
    variables: Any = model.init(jax.random.key(0), IMAGES, train=False)
    seen = heads.features(model, variables, IMAGES)
    head = variables['params'][heads.name(variables['params'])]
    logits = model.apply(variables, IMAGES, train=False)
    np.testing.assert_allclose(seen @ head['kernel'] + head['bias'], logits, atol=1e-5)


@pytest.mark.parametrize('name', ['cnn_bn_dropout', 'resnet18'])
def test_running_statistics_are_used_and_left_alone(name: str) -> None:
    fields = {**SMALL[name], **({'dropout': 0.0} if 'dropout' in name else {})}
    model = models.create(name, num_classes=5, **fields)
    variables: Any = model.init(jax.random.key(0), IMAGES, train=False)
    stats = jax.tree.map(lambda leaf: leaf + 0.3, variables['batch_stats'])
    variables = {'params': variables['params'], 'batch_stats': stats}
    wanted = model.apply(variables, IMAGES, train=False)
    train = functools.partial(model.apply, variables, IMAGES, train=True, mutable=['batch_stats'])
    with layers.running_statistics():
        logits, kept = train()
    np.testing.assert_allclose(logits, wanted, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, kept['batch_stats'], stats)
    logits, moved = train()
    assert np.abs(logits - wanted).max() > 1e-3, 'outside of it nothing is as in evaluation'
    assert jax.tree.leaves(moved)[0][0] != jax.tree.leaves(stats)[0][0]
