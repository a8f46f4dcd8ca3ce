import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from pneumo_jax import models
from pneumo_jax.models import layers


def own_statistics(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    """Every BatchNorm of a whole map works out that map's, whatever it is handed."""
    if isinstance(context.module, layers.BatchNorm):
        args = args[:1]
    return call(*args, **kwargs)


def test_shared_statistics_are_those_of_each_layers_map() -> None:
    model = models.create('densenet121', num_classes=3, blocks=(3, 2), growth=4)
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=(4, 48, 48, 1)), jnp.float32)
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), images)

    def gradients() -> Any:
        def loss(params: Any, images: Array) -> Any:
            given = {**variables, 'params': params}
            logits, new = model.apply(given, images, train=True, mutable=['batch_stats'])
            return jnp.square(logits - 1).sum(), new

        traced = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        return traced(variables['params'], images)

    shared = gradients()
    with nn.intercept_methods(own_statistics):
        own = gradients()
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(own))
    for one, other in zip(jax.tree.leaves(shared), jax.tree.leaves(own), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6 * scale)
