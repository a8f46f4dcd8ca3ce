"""XLA's own convolution of NHWC maps."""

from jax import Array, lax
from jaxtyping import Float

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
