"""Layers that several models share."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype, Initializer
from jax import Array
from jaxtyping import Float

from pneumo_jax.models import ops, pooling

# What torch gives a convolution or linear layer that nobody initialises otherwise.
torch_default = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
kaiming_fan_out = nn.initializers.variance_scaling(2, 'fan_out', 'normal')  # He et al. 2015
truncated = nn.initializers.truncated_normal(0.02)

Layer = Callable[..., nn.Module]


class Conv(nn.Module):
    """A square convolution with torch's integer padding: `padding` zeros on every side."""

    features: int
    size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    kernel_init: Initializer = torch_default

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 k']:
        shape = (self.size, self.size, x.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', self.kernel_init, shape).astype(self.dtype)
        x = ops.conv(
            x.astype(self.dtype),
            kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
        )
        if self.use_bias:
            x += self.param('bias', nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return x


class SqueezeExcite(nn.Module):
    """Channel gates from the map's mean, by way of a 16th (Hu et al. 2018, arXiv:1709.01507)."""

    dtype: Dtype

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=kaiming_fan_out)
        channels = x.shape[-1]
        gate = dense(max(1, channels // 16), name='fc1')(pooling.global_avg_pool(x))
        gate = nn.sigmoid(dense(channels, name='fc2')(nn.relu(gate)))
        return x * gate[:, None, None]


def batch_norm(*, train: bool, dtype: Dtype, axis_name: str | None) -> Layer:
    """BatchNorm with torch's constants; its decay .9 is torch's momentum .1.

    `axis_name` is the mapped axis (pmap, shard_map, vmap) over which statistics are shared.
    """
    return partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=dtype,
        axis_name=axis_name,
    )


def layer_norm(dtype: Dtype) -> Layer:
    """LayerNorm with the epsilon of ViT and ConvNeXt, which is not torch's default."""
    return partial(nn.LayerNorm, epsilon=1e-6, dtype=dtype)
