"""XLA's own convolution of NHWC maps, and in a CPU's program one for each of several seeds."""

import functools

import jax
from jax import Array, lax
from jaxtyping import Float

from pneumo_jax import forms

Map = Float[Array, 'b h w c']
Kernel = Float[Array, 'k k i o']


def conv(x: Map, kernel: Kernel, stride: int, padding: int, groups: int) -> Map:
    """Cross-correlation with a square kernel over a map zero-padded by `padding` on every side."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(padding, padding)] * 2,
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=groups,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def one_by_one(x: Map, kernel: Kernel, stride: int, padding: int, groups: int) -> Map:
    """`conv`, also where `vmap` gives each of several seeds a kernel of its own."""
    fixed = functools.partial(conv, stride=stride, padding=padding, groups=groups)
    y: Map = forms.one_by_one(fixed)(x, kernel)
    return y


def _forward(
    x: Map, kernel: Kernel, stride: int, padding: int, groups: int
) -> tuple[Map, tuple[Map, Kernel]]:
    return one_by_one(x, kernel, stride, padding, groups), (x, kernel)


def gradients(
    stride: int, padding: int, groups: int, kept: tuple[Map, Kernel], dy: Map
) -> tuple[Map, Kernel]:
    """Of the map and the kernel in `kept`, one by one too."""
    fixed = functools.partial(conv, stride=stride, padding=padding, groups=groups)

    def pulled(x: Map, kernel: Kernel, dy: Map) -> tuple[Map, Kernel]:
        return jax.vjp(fixed, x, kernel)[1](dy)

    found: tuple[Map, Kernel] = forms.one_by_one(pulled)(*kept, dy)
    return found


one_by_one.defvjp(_forward, gradients)
