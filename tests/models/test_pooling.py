import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jaxtyping import Array

from pneumo_jax.models import pooling

# (window, stride, padding) of every pooling in the models.
KINDS = [(2, 2, 0), (3, 2, 1)]


def library(x: Array, window: int, stride: int, padding: int) -> Array:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, window, window, 1), (1, stride, stride, 1), pads
    )


def both(x: Array, window: int, stride: int, padding: int) -> list[tuple[Array, Array]]:
    """(values, gradients) of ours and the library's, behind what BatchNorm and ReLU compute."""

    def norm(x: Array) -> Array:
        centred = x - x.mean((0, 1, 2), keepdims=True)
        return jax.nn.relu(centred * lax.rsqrt(jnp.square(centred).mean() + 1e-5) * 1.1 + 0.1)

    def weighted(pooled: Array) -> Array:
        return (pooled * jnp.cos(jnp.arange(pooled.size)).reshape(pooled.shape)).sum()

    ours = jax.value_and_grad(
        lambda x: weighted(pooling.max_pool(norm(x), window, stride=stride, padding=padding))
    )
    theirs = jax.value_and_grad(lambda x: weighted(library(norm(x), window, stride, padding)))
    return [jax.jit(ours)(x), jax.jit(theirs)(x)]


@pytest.mark.parametrize(('window', 'stride', 'padding'), KINDS)
@pytest.mark.parametrize('shape', [(3, 8, 8, 4), (2, 7, 9, 3), (16, 14, 14, 64), (1, 3, 2, 1)])
def test_max_pool_is_the_librarys(
    shape: tuple[int, ...], window: int, stride: int, padding: int
) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    (value, gradient), (wanted, wanted_gradient) = both(x, window, stride, padding)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(gradient, wanted_gradient, atol=1e-5)


@pytest.mark.parametrize(('window', 'stride', 'padding'), KINDS)
def test_the_first_of_equal_values_takes_the_gradient(
    window: int, stride: int, padding: int
) -> None:
    x = jnp.ones((1, 6, 6, 1))
    gradient = jax.grad(
        lambda x: pooling.max_pool(x, window, stride=stride, padding=padding).sum()
    )(x)
    assert gradient.sum() == 9
    assert gradient[0, 0, 0, 0] == 1


def test_nan_is_not_hidden() -> None:
    for place in range(4):
        x = jnp.zeros(4).at[place].set(jnp.nan).reshape(1, 2, 2, 1)
        assert jnp.isnan(pooling.max_pool(x, 2, stride=2)).all()


def test_a_window_of_more_taps_than_a_byte_numbers() -> None:
    x = jax.random.normal(jax.random.key(0), (1, 24, 24, 2))
    expected = x.reshape(1, 2, 12, 2, 12, 2).max((2, 4))
    np.testing.assert_array_equal(pooling.max_pool(x, 12, stride=12), expected)


def test_a_map_smaller_than_the_window_gives_one_value() -> None:
    x = jnp.arange(3.0).reshape(1, 1, 3, 1)
    assert pooling.max_pool(x, 2, stride=2).tolist() == [[[[1.0]]]]
    assert pooling.avg_pool(x, 2).tolist() == [[[[0.5]]]]
    one = jnp.full((1, 1, 1, 1), 5.0)
    assert (
        pooling.avg_pool(one, 2).tolist() == pooling.max_pool(one, 3, stride=2, padding=1).tolist()
    )


def test_average_pooling_leaves_out_what_fills_no_window() -> None:
    x = jnp.arange(15.0).reshape(1, 3, 5, 1)
    assert pooling.avg_pool(x, 2).ravel().tolist() == [3.0, 5.0]
    np.testing.assert_allclose(pooling.global_avg_pool(x), [[7.0]], rtol=1e-6)


def test_under_vmap_and_in_bfloat16() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2, 6, 6, 3)), jnp.bfloat16)

    def total(x: Array) -> Array:
        return pooling.max_pool(x, 3, stride=2, padding=1).astype('float32').sum()

    together = jax.vmap(jax.grad(total))(x)
    apart = jnp.stack([jax.grad(total)(one) for one in x])
    assert together.dtype == jnp.bfloat16
    np.testing.assert_array_equal(together, apart)
