"""What `--config.model.dtype=bfloat16` computes in."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.extend.core import jaxprs_in_params

from pneumo_jax import models
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.training import steps

SMALL: dict[str, dict[str, Any]] = {
    'mlp': {'hidden': 8},
    'cnn': {'features': (4,), 'hidden': 8},
    'cnn_bn_dropout': {'features': (4,), 'hidden': 8},
    'resnet8': {'widths': (8, 8), 'stem': 8},
    'resnet18': {'blocks': (1, 1, 1, 1), 'width': 8},
    'resnet50': {'blocks': (1, 1, 1, 1), 'width': 8},
    'se_resnet18': {'blocks': (1, 1, 1, 1), 'width': 8},
    'se_resnet50': {'blocks': (1, 1, 1, 1), 'width': 8},
    'densenet121': {'blocks': (1, 1, 1, 1), 'growth': 8},
    'convnext_tiny': {'blocks': (1, 1, 1, 1), 'dims': (8, 8, 8, 8)},
    'vit': {'patch': 7, 'width': 16, 'depth': 1, 'heads': 2},
}


def equations(jaxpr: Any) -> Iterator[Any]:
    """Every equation, those within calls, branches and loops included."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner)


def test_every_model_is_here() -> None:
    assert SMALL.keys() == models.MODELS.keys()


@pytest.mark.parametrize('name', SMALL)
def test_products_are_bfloat16_and_all_that_is_kept_is_float32(name: str) -> None:
    preprocess = Preprocess(28, 28, 1)
    model = models.create(name, num_classes=2, dtype='bfloat16', **SMALL[name])
    images = jnp.zeros((4, 28, 28, 1), jnp.uint8)
    variables = jax.eval_shape(
        steps.make_init(model, optax.identity(), preprocess.image_shape), jax.random.key(0)
    ).variables

    def loss(params: Any, batch_stats: Any) -> Any:
        logits, updates = model.apply(
            {'params': params, 'batch_stats': batch_stats},
            preprocess(images),
            train=True,
            mutable=['batch_stats'],
            rngs={'dropout': jax.random.key(0)},
        )
        return logits.sum(), (logits, updates)

    learn = jax.grad(loss, has_aux=True)
    arguments = (variables['params'], variables['batch_stats'])
    traced, (grads, (logits, updates)) = jax.make_jaxpr(learn, return_shape=True)(*arguments)
    products = [
        str(operand.aval.dtype)
        for equation in equations(traced.jaxpr)
        if equation.primitive.name in ('dot_general', 'conv_general_dilated')
        for operand in equation.invars
    ]
    assert len(products) > 6
    assert set(products) == {'bfloat16'}
    kept = jax.tree.leaves((variables, grads, logits, updates))
    assert {str(leaf.dtype) for leaf in kept} == {'float32'}
