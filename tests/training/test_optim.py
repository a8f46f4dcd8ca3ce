from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pneumo_jax import config, models
from pneumo_jax.training import optim

PLAIN: dict[str, Any] = {
    'name': 'adam',
    'lr': 0.1,
    'schedule': 'constant',
    'warmup_steps': 0,
    'total_steps': 10,
    'weight_decay': 0.0,
    'clip_norm': 0.0,
}
PARAMS = {'kernel': jnp.array([[1.0, -2.0]]), 'bias': jnp.array([3.0])}
GRADS = {'kernel': jnp.array([[30.0, 40.0]]), 'bias': jnp.array([0.0])}


def updates(**changes: Any) -> Any:
    tx = optim.create(**{**PLAIN, **changes})
    return tx.update(GRADS, tx.init(PARAMS), PARAMS)[0]


def test_plain_is_adam() -> None:
    adam = optax.adam(0.1)
    wanted, _ = adam.update(GRADS, adam.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates()['kernel'], wanted['kernel'])


def test_weight_decay_acts_on_kernels_alone() -> None:
    decayed, plain = updates(weight_decay=0.5), updates()
    np.testing.assert_allclose(
        decayed['kernel'] - plain['kernel'], -0.1 * 0.5 * PARAMS['kernel'], rtol=1e-6
    )
    np.testing.assert_array_equal(decayed['bias'], plain['bias'])


def test_clipping_bounds_the_global_norm() -> None:
    clipped = updates(name='sgd', clip_norm=1.0)
    # Nesterov's first step is (1 + .9) times the gradient.
    np.testing.assert_allclose(clipped['kernel'], [[-0.1 * 1.9 * 0.6, -0.1 * 1.9 * 0.8]], rtol=1e-6)


def test_warm_up_and_cosine() -> None:
    rate = optim.learning_rate(2.0, 'cosine', 4, 12)
    assert [float(rate(step)) for step in (0, 2, 4)] == [0.0, 1.0, 2.0]
    np.testing.assert_allclose([rate(8), rate(12)], [1.0, 0.0], atol=1e-6)
    constant = optim.learning_rate(2.0, 'constant', 4, 12)
    assert [float(constant(step)) for step in (2, 4, 11)] == [1.0, 2.0, 2.0]


@pytest.mark.parametrize('name', config.MODELS)
def test_the_decay_mask_knows_every_leaf_of_every_model(name: str) -> None:
    model = models.create(name, num_classes=2)
    variables = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, 32, 32, 1)), train=False), jax.random.key(0)
    )
    mask = optim.decay_mask(variables['params'])
    paths = dict(jax.tree_util.tree_leaves_with_path(mask))
    assert all(isinstance(decayed, bool) for decayed in paths.values())
    assert any(paths.values())
    assert not all(paths.values())


@pytest.mark.parametrize('limit', [0.1, 1e6])
def test_norm_and_clipping_are_optaxs(limit: float) -> None:
    grads = {'a': jnp.arange(6.0).reshape(2, 3), 'b': {'c': -jnp.ones(4)}}
    np.testing.assert_allclose(optim.global_norm(grads), optax.tree.norm(grads), rtol=1e-6)
    clipped, _ = optim.clip(limit).update(grads, optax.EmptyState())
    wanted, _ = optax.clip_by_global_norm(limit).update(grads, optax.EmptyState())
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), clipped, wanted
    )


def test_clipping_leaves_no_gradient_alone() -> None:
    clipped, _ = optim.clip(1.0).update({'a': jnp.zeros(3)}, optax.EmptyState())
    np.testing.assert_array_equal(clipped['a'], 0)
