from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from pneumo_jax import models


def maps_of(image: Array, **fields: Any) -> dict[str, tuple[int, ...]]:
    """The shape of what every part of the net gives."""
    model = models.create('resnet8', num_classes=2, **fields)

    def run(x: Array) -> dict[str, Array]:
        _, seen = model.init_with_output(
            jax.random.key(0), x, train=False, capture_intermediates=True
        )
        inner = seen['intermediates']
        return {name: inner[name]['__call__'][0] for name in inner if name != '__call__'}

    return {name: out.shape for name, out in jax.eval_shape(run, image).items()}


def test_every_stage_halves_the_map() -> None:
    shapes = maps_of(jnp.zeros((2, 28, 28, 1)))
    wanted = [('conv1', 28, 32), ('layer1_0', 14, 64), ('layer2_0', 7, 128), ('layer3_0', 4, 256)]
    for name, size, channels in wanted:
        assert shapes[name] == (2, size, size, channels)
    assert shapes['fc'] == (2, 2)


@pytest.mark.parametrize(('stride', 'size'), [(1, 3), (2, 3), (4, 7), (8, 15)])
def test_a_strided_stem_sees_every_pixel(stride: int, size: int) -> None:
    shapes = maps_of(jnp.zeros((1, 224, 224, 1)), stem_stride=stride)
    assert shapes['conv1'][1:3] == (224 // stride, 224 // stride)
    model = models.create('resnet8', num_classes=2, stem_stride=stride, widths=(4,), stem=3)
    image = jnp.zeros((1, 33, 33, 1))
    variables = model.init(jax.random.key(0), image, train=False)
    assert variables['params']['conv1']['kernel'].shape == (size, size, 1, 3)
    spots = jnp.zeros((32, 33, 33, 1)).at[jnp.arange(32), jnp.arange(32), 16].set(1)
    logits = model.apply(variables, spots, train=False)
    assert (np.abs(logits - model.apply(variables, image, train=False)).max(1) > 0).all()


def test_a_kernel_of_one_size_everywhere_but_on_the_shortcuts() -> None:
    model = models.create('resnet8', num_classes=2, kernel=5, widths=(4, 6), stem=3, blocks=2)
    shapes = jax.eval_shape(
        lambda x: model.init(jax.random.key(0), x, train=False), jnp.zeros((1, 28, 28, 1))
    )
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator='/'): leaf.shape[0]
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes['params'])
        if leaf.ndim == 4
    }
    assert len(sizes) == 1 + 2 * 2 * 2 + 2
    assert all(size == (1 if 'downsample' in name else 5) for name, size in sizes.items())
