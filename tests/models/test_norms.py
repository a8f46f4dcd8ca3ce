import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from pneumo_jax.models import layers, norms

SHAPES = [(4, 3), (4, 5, 6, 3), (2, 1, 1, 7)]


def inputs(shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, shape[-1])) + 0.5
    x = rng.normal(loc=0.5, size=shape)
    return jnp.float32(x), jnp.float32(vectors[0]), jnp.float32(vectors[1])


def norm(x: Array, scale: Array, bias: Array, axis_name: str | None = None) -> Array:
    return norms.normalise(x, norms.moments(x, axis_name), scale, bias, 1e-5, axis_name)


def plainly(x: Array, scale: Array, bias: Array) -> Array:
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / jnp.sqrt(x.var(axes) + 1e-5) * scale + bias


@pytest.mark.parametrize('shape', SHAPES)
def test_value_and_gradients_are_those_that_jax_derives(shape: tuple[int, ...]) -> None:
    args = inputs(shape)
    weights = jnp.cos(jnp.arange(args[0].size)).reshape(shape)

    def ours(*args: Array) -> Array:
        return (norm(*args) * weights).sum()

    def theirs(*args: Array) -> Array:
        return (plainly(*args) * weights).sum()

    for one, other in zip(
        jax.tree.leaves(jax.value_and_grad(ours, (0, 1, 2))(*args)),
        jax.tree.leaves(jax.value_and_grad(theirs, (0, 1, 2))(*args)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize('train', [True, False])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_the_module_is_linens(train: bool, dtype: jnp.dtype) -> None:
    x = inputs((4, 5, 6, 3))[0].astype(dtype)
    ours = layers.batch_norm(train=train, dtype=dtype, axis_name=None)()
    theirs = nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, dtype=dtype)
    variables = theirs.init(jax.random.key(0), x)
    variables['batch_stats']['mean'] += 0.5
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), x)) == jax.tree.map(
        jnp.shape, variables
    )
    y, updates = ours.apply(variables, x, mutable=['batch_stats'])
    wanted, wanted_updates = theirs.apply(variables, x, mutable=['batch_stats'])
    assert y.dtype == wanted.dtype
    np.testing.assert_allclose(
        y.astype(jnp.float32),
        wanted.astype(jnp.float32),
        atol=1e-5 if dtype == jnp.float32 else 0.04,
    )
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5),
        updates,
        wanted_updates,
    )


def test_an_axis_shares_statistics_and_gradients() -> None:
    x, scale, bias = inputs((8, 5, 3))
    weights = jnp.cos(jnp.arange(x.size)).reshape(x.shape)

    def whole(x: Array) -> Array:
        return (norm(x, scale, bias) * weights).sum()

    def part(x: Array, weights: Array) -> Array:
        return (norm(x, scale, bias, 'i') * weights).sum()

    halves = x.reshape(2, 4, 5, 3)
    gradients = jax.vmap(jax.grad(part), axis_name='i')(halves, weights.reshape(halves.shape))
    np.testing.assert_allclose(gradients.reshape(x.shape), jax.grad(whole)(x), atol=1e-5)
