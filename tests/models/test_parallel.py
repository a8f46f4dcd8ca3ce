"""One step of learning is the same on a mesh, under shard_map and vmapped over seeds in a scan."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from pneumo_jax.models import pooling
from pneumo_jax.models.layers import Conv, SqueezeExcite, batch_norm
from pneumo_jax.models.vit import Attention

Step = Callable[[Any, Array], Any]


class Everything(nn.Module):
    """Every kind of convolution, pooling and mixing of the models, once."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        norm = batch_norm(train=train, dtype=jnp.float32, axis_name=self.axis_name)
        x = Conv(4, 7, 2, 3)(x)
        x = pooling.max_pool(nn.relu(norm()(x)), 3, stride=2, padding=1)
        x = SqueezeExcite(jnp.float32)(norm()(Conv(6, 3, 2, 1)(x)))
        x = Conv(6, 7, padding=3, groups=6)(Conv(6, 1)(x))
        x = pooling.max_pool(norm()(x), 2, stride=2)
        x = pooling.avg_pool(Attention(2, nn.Dense)(x.reshape(len(x), -1, 6)).reshape(x.shape), 2)
        x = Conv(4, 3, padding=1)(Conv(4, 2, 2)(x))
        return nn.Dense(3)(pooling.global_avg_pool(x))


def make_step(model: nn.Module) -> Step:
    """(variables, images) -> gradients, new statistics."""

    def loss(params: Any, variables: Any, x: Array) -> tuple[Array, Any]:
        given = {**variables, 'params': params}
        logits, new = model.apply(given, x, train=True, mutable=['batch_stats'])
        return jnp.square(logits - 1).mean(), new.get('batch_stats', {})

    return lambda variables, x: jax.grad(loss, has_aux=True)(variables['params'], variables, x)


Problem = tuple[Any, Array, Any]


@pytest.fixture(scope='module')
def problem() -> Problem:
    """(variables, images, the step's result on one device)."""
    model = Everything()
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(8, 65, 65, 1)), jnp.float32)
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), x)
    wanted = jax.jit(make_step(model))(variables, x)
    return variables, x, wanted


def assert_near(ours: Any, wanted: Any) -> None:
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5 * scale)


def mesh() -> jax.sharding.Mesh:
    return jax.make_mesh((4,), ('batch',), axis_types=(AxisType.Auto,))


def test_on_a_mesh(problem: Problem) -> None:
    variables, x, wanted = problem
    spread = jax.device_put(x, NamedSharding(mesh(), P('batch')))
    copied = jax.device_put(variables, NamedSharding(mesh(), P()))
    assert_near(jax.jit(make_step(Everything()))(copied, spread), wanted)


def test_under_shard_map(problem: Problem) -> None:
    variables, x, wanted = problem
    sharded = make_step(Everything('batch'))

    def mean(variables: Any, x: Array) -> Any:
        varying = jax.tree.map(lambda v: lax.pcast(v, 'batch', to='varying'), variables)
        return lax.pmean(sharded(varying, x), 'batch')

    ours = jax.jit(jax.shard_map(mean, mesh=mesh(), in_specs=(P(), P('batch')), out_specs=P()))
    assert_near(ours(variables, x), wanted)


def test_vmapped_over_seeds_in_a_scan(problem: Problem) -> None:
    variables, x, wanted = problem
    seeds = jax.tree.map(lambda v: jnp.stack([v * 1.5, v]), variables)

    def both(carry: None, x: Array) -> tuple[None, Any]:
        return carry, jax.vmap(make_step(Everything()), in_axes=(0, None))(seeds, x)

    _, results = jax.jit(lambda xs: lax.scan(both, None, xs))(x[None])
    assert_near(jax.tree.map(lambda v: v[0, 1], results), wanted)
