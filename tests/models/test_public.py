"""Our models compute what torchvision's and timm's compute with the same weights."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from pneumo_jax import models

# Logits of torchvision 0.29 (ResNet, DenseNet) and timm 1.0.31, in evaluation, for the weights and
# images below. timm's SENet was given ResNet's first pooling, and its basic block the paper's order
# (no ReLU before the gate).
PUBLIC: dict[str, tuple[dict[str, Any], list[list[float]]]] = {
    'resnet50': (
        {'blocks': (1, 1, 1, 1)},
        [[-2.37877, -2.17586, 0.43137], [-2.11317, -2.64894, 0.04724]],
    ),
    'se_resnet18': (
        {'blocks': (1, 1, 1, 1)},
        [[2.19228, -2.45249, 2.46713], [2.16236, -2.4445, 2.83568]],
    ),
    'densenet121': (
        {'blocks': (2, 2), 'growth': 8},
        [[0.12146, 0.74302, 1.49393], [0.17463, 0.68842, 1.43864]],
    ),
    'convnext_tiny': (
        {'blocks': (1, 1, 1, 1), 'dims': (8, 16, 24, 32)},
        [[1.43771, -0.62126, 0.65854], [1.21861, -0.98242, 0.93012]],
    ),
    # img_size=(48, 56), dynamic_img_pad
    'vit': (
        {'patch': 8, 'width': 24, 'depth': 2, 'heads': 3},
        [[0.33443, 0.94734, 0.67805], [0.44242, 1.12771, 0.61916]],
    ),
}
LEAVES = {'kernel': 'weight', 'scale': 'weight', 'mean': 'running_mean', 'var': 'running_var'}


def torch_weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    # RandomState because its stream is frozen.
    noise = np.random.RandomState(zlib.crc32(name.encode())).normal(size=shape)
    if len(shape) in (2, 4):
        return noise * np.sqrt(2 / np.prod(shape[1:]))
    return np.abs(1 + 0.1 * noise) if name.endswith(('weight', 'running_var')) else 0.1 * noise


def weights_for(variables: Any) -> Any:
    """The public model's weights, found by the public name and turned to our layout."""
    loaded = {}
    for (collection, *path, leaf), like in flatten_dict(variables).items():
        shape = like.shape
        if leaf == 'kernel':  # [out, in, k, k] and [out, in] there
            shape = (*shape[:-3:-1], *shape[:-2])
        weights = torch_weights('_'.join([*path, LEAVES.get(leaf, leaf)]), shape)
        if leaf == 'kernel':
            weights = np.moveaxis(weights, (0, 1), (-1, -2))
        loaded[(collection, *path, leaf)] = jnp.asarray(weights, jnp.float32)
    return unflatten_dict(loaded)


@pytest.mark.parametrize('name', PUBLIC)
def test_logits_are_the_public_ones(name: str) -> None:
    fields, wanted = PUBLIC[name]
    image = np.random.RandomState(0).uniform(size=(2, 45, 50, 3)).astype(np.float32)
    model = models.create(name, num_classes=3, **fields)
    variables = weights_for(
        jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), image)
    )
    logits = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
    np.testing.assert_allclose(logits, wanted, atol=1e-4)
