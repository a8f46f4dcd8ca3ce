import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jaxtyping import Array

from pneumo_jax.models import ops

# (height, width, in, out, kernel, stride, padding, groups) of every kind of convolution in the
# models, on maps larger and smaller than the kernel.
KINDS = {
    'resnet stem, large': (28, 28, 1, 8, 7, 2, 3, 1),
    'resnet stem, small': (9, 12, 3, 8, 7, 2, 3, 1),
    'resnet stem, one pixel': (1, 1, 3, 8, 7, 2, 3, 1),
    '3x3, large': (9, 7, 6, 5, 3, 1, 1, 1),
    'one channel': (8, 6, 1, 5, 3, 1, 1, 1),
    'one channel, 2 px': (2, 2, 1, 5, 3, 1, 1, 1),
    'one channel, 2x2': (7, 5, 1, 5, 2, 1, 0, 1),
    'one channel, 5x5': (6, 12, 1, 5, 5, 1, 2, 1),
    'one channel, odd': (6, 7, 1, 5, 3, 1, 1, 1),
    'one channel, unpadded': (6, 10, 1, 5, 3, 1, 0, 1),
    'one channel, 7x7 strided, odd': (29, 30, 1, 5, 7, 2, 3, 1),
    'one channel, 7x7 strided, 1 px': (1, 1, 1, 5, 7, 2, 3, 1),
    'one channel, 4x4 strided': (9, 12, 1, 5, 4, 2, 0, 1),
    '3x3, 64 channels': (4, 6, 64, 72, 3, 1, 1, 1),
    '3x3, 128 channels, odd': (5, 7, 128, 136, 3, 1, 1, 1),
    '3x3, 128 channels, 3 px': (3, 4, 128, 128, 3, 1, 1, 1),
    '3x3, 2 px': (2, 2, 6, 5, 3, 1, 1, 1),
    '3x3, one row': (1, 7, 6, 5, 3, 1, 1, 1),
    '3x3, 1 px': (1, 1, 6, 5, 3, 1, 1, 1),
    '3x3 strided, large': (33, 18, 6, 5, 3, 2, 1, 1),
    '3x3 strided, 7 px': (7, 8, 6, 5, 3, 2, 1, 1),
    '3x3 strided, 2 px': (2, 3, 6, 5, 3, 2, 1, 1),
    '3x3 strided, 1 px': (1, 1, 6, 5, 3, 2, 1, 1),
    '1x1': (7, 5, 6, 5, 1, 1, 0, 1),
    '1x1 strided': (7, 4, 6, 5, 1, 2, 0, 1),
    '1x1 strided, 1 px': (1, 1, 6, 5, 1, 2, 0, 1),
    '5x5': (9, 9, 2, 4, 5, 1, 2, 1),
    '7x7, 3 px': (3, 5, 2, 4, 7, 1, 3, 1),
    'tiles that fit': (8, 12, 3, 5, 4, 4, 0, 1),
    'tiles with a rest': (7, 9, 3, 5, 2, 2, 0, 1),
    'depthwise 7x7': (9, 14, 6, 6, 7, 1, 3, 6),
    'depthwise 7x7, 2 px': (2, 3, 6, 6, 7, 1, 3, 6),
    'depthwise 7x7, 1 px': (1, 1, 6, 6, 7, 1, 3, 6),
    'depthwise, strided': (9, 8, 6, 6, 3, 2, 1, 6),
    'depthwise, two per channel': (5, 5, 3, 6, 3, 1, 1, 3),
    'grouped 1x1': (5, 5, 6, 4, 1, 1, 0, 2),
    'grouped, small': (2, 2, 6, 4, 3, 1, 1, 2),
}


def arrays(h: int, w: int, i: int, o: int, size: int, groups: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    shape = (size, size, i // groups, o)
    x, kernel = rng.normal(size=(3, h, w, i)), rng.normal(size=shape) / np.sqrt(np.prod(shape[:3]))
    return jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)


def library(x: Array, kernel: Array, stride: int, padding: int, groups: int) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=groups,
    )


@pytest.mark.parametrize('kind', KINDS.values(), ids=KINDS)
def test_values_and_gradients_are_the_librarys(kind: tuple[int, ...]) -> None:
    h, w, i, o, size, stride, padding, groups = kind
    args = arrays(h, w, i, o, size, groups)

    def both(x: Array, kernel: Array) -> list[tuple[Array, ...]]:
        ours = functools.partial(ops.conv, stride=stride, padding=padding, groups=groups)
        theirs = functools.partial(library, stride=stride, padding=padding, groups=groups)
        results = []
        for conv in (ours, theirs):
            y, gradients = jax.vjp(conv, x, kernel)
            results.append((y, *gradients(jnp.cos(jnp.arange(1.0 * y.size)).reshape(y.shape))))
        return results

    for one, other in zip(*jax.jit(both)(*args), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', KINDS.values(), ids=KINDS)
def test_a_batch_of_any_size_can_be_exported(kind: tuple[int, ...]) -> None:
    h, w, i, o, size, stride, padding, groups = kind
    x, kernel = arrays(h, w, i, o, size, groups)
    conv = functools.partial(ops.conv, stride=stride, padding=padding, groups=groups)
    (batch,) = jax.export.symbolic_shape('b')
    shape = jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype)
    both = jax.export.export(jax.jit(conv), platforms=['cpu', 'cuda'])(shape, kernel)
    np.testing.assert_allclose(both.call(x, kernel), conv(x, kernel), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('shape', 'size', 'wanted'), [((1, 1), 2, (1, 1)), ((2, 9), 4, (1, 2))])
def test_a_map_smaller_than_the_kernel_is_filled_with_zeros(
    shape: tuple[int, int], size: int, wanted: tuple[int, int]
) -> None:
    x, kernel = arrays(*shape, 3, 5, size, 1)
    grow = [(0, max(0, size - length)) for length in shape]
    filled = jnp.pad(x, ((0, 0), *grow, (0, 0)))
    y = ops.conv(x, kernel, stride=size)
    assert y.shape[1:3] == wanted
    np.testing.assert_allclose(y, library(filled, kernel, size, 0, 1), atol=1e-5)


def test_a_kernel_that_meets_padding_alone() -> None:
    y = ops.conv(jnp.ones((1, 1, 1, 3)), jnp.ones((1, 1, 3, 2)), stride=2, padding=1)
    assert y.shape == (1, 2, 2, 2) and not y.any()


@pytest.mark.parametrize('kind', ['3x3, 2 px', '1x1 strided', 'tiles that fit', 'depthwise 7x7'])
def test_each_platform_gets_its_own_form(kind: str) -> None:
    h, w, i, o, size, stride, padding, groups = KINDS[kind]
    conv = jax.jit(
        lambda x, kernel: ops.conv(x, kernel, stride=stride, padding=padding, groups=groups)
    )

    def program(platform: str) -> str:
        args = arrays(h, w, i, o, size, groups)
        return jax.export.export(conv, platforms=[platform])(*args).mlir_module()

    assert 'convolution' not in program('cpu')
    assert 'convolution' in program('cuda')
    assert 'dot_general' not in program('cuda')


@pytest.mark.parametrize(
    'kind',
    [
        *('3x3, 2 px', '3x3 strided, 7 px', 'depthwise 7x7', '3x3, large', 'one channel'),
        *('3x3, 64 channels', '3x3, 128 channels, odd'),
    ],
)
def test_vmapped_over_kernels_as_over_seeds(kind: str) -> None:
    h, w, i, o, size, stride, padding, groups = KINDS[kind]
    x, kernel = arrays(h, w, i, o, size, groups)
    kernels = jnp.stack([kernel, kernel * 2, kernel[::-1]])

    def total(kernel: Array) -> Array:
        y = ops.conv(x, kernel, stride=stride, padding=padding, groups=groups)
        return jnp.square(y).mean()

    together = jax.jit(jax.vmap(jax.grad(total)))(kernels)
    apart = jnp.stack([jax.jit(jax.grad(total))(one) for one in kernels])
    np.testing.assert_allclose(together, apart, atol=1e-5)
