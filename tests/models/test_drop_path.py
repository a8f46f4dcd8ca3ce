"""Stochastic depth: the layer, and the nets that have it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jaxtyping import Array

from pneumo_jax import models
from pneumo_jax.models.layers import DropPath, drop_rates

# Every net with stochastic depth, without dropout: (its fields, two blocks deep, one block deep).
DEEP: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    'resnet8': ({'widths': (8,), 'stem': 4, 'dropout': 0.0}, {'blocks': 2}, {'blocks': 1}),
    'resnet18': ({'width': 8}, {'blocks': (2,)}, {'blocks': (1,)}),
    'resnet50': ({'width': 8}, {'blocks': (2,)}, {'blocks': (1,)}),
    'se_resnet18': ({'width': 16}, {'blocks': (2,)}, {'blocks': (1,)}),
    'se_resnet50': ({'width': 8}, {'blocks': (2,)}, {'blocks': (1,)}),
    'convnext_tiny': ({'dims': (8,)}, {'blocks': (2,)}, {'blocks': (1,)}),
    'vit': ({'width': 12, 'heads': 3, 'patch': 8}, {'depth': 2}, {'depth': 1}),
}
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 16, 16, 1)), jnp.float32)


def dropped(rate: float, x: Array, *, train: bool = True) -> Array:
    return DropPath(rate, train).apply({}, x, rngs={'dropout': jax.random.key(0)})


def create(name: str, deep: bool = True, **fields: Any) -> nn.Module:
    same, two, one = DEEP[name]
    return models.create(name, num_classes=3, **same, **(two if deep else one), **fields)


def variables_of(model: nn.Module) -> Any:
    """Random values, so that no branch is zero."""
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), IMAGES)
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(0.1, 1, leaf.shape), leaf.dtype), shapes
    )


@functools.cache
def compiled(model: nn.Module, train: bool) -> Any:
    apply = functools.partial(model.apply, train=train, mutable=['batch_stats'])
    return jax.jit(apply)


def learn(model: nn.Module, variables: Any, seed: int | None = None) -> Array:
    """Logits in training; without a seed there is no key."""
    rngs = {} if seed is None else {'dropout': jax.random.key(seed)}
    return compiled(model, True)(variables, IMAGES, rngs=rngs)[0]


def test_the_mean_over_examples_is_kept() -> None:
    y = dropped(0.25, jnp.ones((4000, 2, 3)))
    rows = np.asarray(y).reshape(4000, 6)
    np.testing.assert_array_equal(rows, rows[:, :1].repeat(6, 1))  # an example is whole or gone
    np.testing.assert_allclose(np.unique(rows), [0, 1 / 0.75], rtol=1e-6)
    # Four standard errors of a Bernoulli mean.
    assert abs(rows.mean() - 1) < 4 * np.sqrt(0.25 / 0.75 / 4000)


@pytest.mark.parametrize('shape', [(5, 4), (5, 4, 3), (5, 4, 3, 2)])
def test_off_it_is_the_identity_and_at_1_all_is_gone(shape: tuple[int, ...]) -> None:
    x = jnp.ones(shape, jnp.bfloat16)
    np.testing.assert_array_equal(dropped(0.0, x), x)
    np.testing.assert_array_equal(dropped(0.9, x, train=False), x)
    np.testing.assert_array_equal(dropped(1.0, x), 0)
    assert dropped(0.5, x).dtype == jnp.bfloat16


def test_rates_grow_from_0() -> None:
    np.testing.assert_allclose(drop_rates(0.3, 4), [0, 0.1, 0.2, 0.3])
    assert drop_rates(0.3, 1) == [0]


def test_every_net_that_has_it_is_here() -> None:
    fields = {name: model.__dataclass_fields__ for name, model in models.MODELS.items()}
    assert {name for name, known in fields.items() if 'drop_path' in known} == DEEP.keys()


@pytest.mark.parametrize('name', DEEP)
def test_a_net_whose_last_block_is_dropped_is_the_net_without_it(name: str) -> None:
    whole, shallow = create(name, drop_path=1.0), create(name, deep=False)
    variables = variables_of(whole)
    kept = variables_of(shallow)
    rest = {kind: {part: variables[kind][part] for part in parts} for kind, parts in kept.items()}
    np.testing.assert_allclose(learn(whole, variables, 0), learn(shallow, rest), rtol=1e-5)


@pytest.mark.parametrize('name', DEEP)
def test_it_acts_in_training_alone_and_at_0_asks_for_no_key(name: str) -> None:
    plain, dropping = create(name), create(name, drop_path=0.5)
    variables = variables_of(plain)
    ours, theirs = (compiled(net, False)(variables, IMAGES)[0] for net in (dropping, plain))
    np.testing.assert_array_equal(ours, theirs)
    without = learn(plain, variables)
    drawn = [learn(dropping, variables, seed) for seed in range(3)]
    assert any(not np.allclose(one, without, rtol=1e-3) for one in drawn)
    assert any(not np.array_equal(one, drawn[0]) for one in drawn[1:])


@pytest.mark.parametrize('name', ['resnet8', 'vit'])
def test_a_block_that_is_dropped_learns_nothing(name: str) -> None:
    model = create(name, drop_path=1.0)
    variables = variables_of(model)

    def total(params: Any) -> Array:
        return learn(model, {**variables, 'params': params}, 0)[:, 0].sum()

    slopes = jax.grad(total)(variables['params'])
    last = [part for part in slopes if part.endswith('_1') and 'stem' not in part]
    assert len(last) == 1
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(slopes[last[0]]))
    before = slopes[f'{last[0][:-1]}0']
    assert any((np.asarray(leaf) != 0).any() for leaf in jax.tree.leaves(before))
