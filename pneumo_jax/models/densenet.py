"""DenseNet as torchvision has it (Huang et al. 2017, arXiv:1608.06993)."""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype
from jax import Array
from jaxtyping import Float

from pneumo_jax.models import norms, pooling
from pneumo_jax.models.layers import Conv, Dense, Layer, batch_norm, torch_default
from pneumo_jax.models.norms import Moments

kaiming_fan_in = nn.initializers.variance_scaling(2, 'fan_in', 'normal')  # He et al. 2015


class DenseLayer(nn.Module):
    """Norm, ReLU, convolution, twice (1x1 to 4 `growth`, 3x3 to `growth`): the new channels."""

    growth: int
    conv: Layer
    norm: Layer

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], moments: Moments | None
    ) -> Float[Array, 'b h w k']:
        y = nn.relu(self.norm(name='norm1')(x, moments))
        y = self.conv(4 * self.growth, 1, name='conv1')(y)
        y = nn.relu(self.norm(name='norm2')(y))
        new: Float[Array, 'b h w k'] = self.conv(self.growth, 3, padding=1, name='conv2')(y)
        return new


class Transition(nn.Module):
    """Halves the channels and the map.

    Written as 1x1 convolution, then mean of 2x2. The two commute, so the mean comes first: a
    quarter of the convolution's work.
    """

    conv: Layer
    norm: Layer

    @nn.compact
    def __call__(
        self, x: Float[Array, 'b h w c'], moments: Moments | None
    ) -> Float[Array, 'b h2 w2 k']:
        y = nn.relu(self.norm(name='norm')(x, moments))
        return self.conv(x.shape[-1] // 2, 1, name='conv')(pooling.avg_pool(y, 2))


class DenseNet121(nn.Module):
    """`blocks` are layers per dense block; each layer adds `growth` channels to 2 `growth`."""

    num_classes: int
    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        conv = partial(Conv, dtype=self.dtype, kernel_init=kaiming_fan_in)
        norm = batch_norm(train=train, dtype=self.dtype, axis_name=self.axis_name)
        x = conv(2 * self.growth, 7, 2, 3, name='features_conv0')(image)
        x = norm(name='features_norm0')(x)
        x = nn.relu(pooling.max_pool(x, 3, stride=2, padding=1))
        for block, depth in enumerate(self.blocks, 1):
            # A channel's statistics are the same for all layers that read it: worked out once.
            moments = norms.moments(x, self.axis_name) if train else None
            for i in range(1, depth + 1):
                name = f'features_denseblock{block}_denselayer{i}'
                y = DenseLayer(self.growth, conv, norm, name=name)(x, moments)
                x = jnp.concatenate([x, y], axis=-1)
                if moments:
                    moments = _joined(moments, norms.moments(y, self.axis_name))
            if block < len(self.blocks):
                x = Transition(conv, norm, name=f'features_transition{block}')(x, moments)
        x = pooling.global_avg_pool(nn.relu(norm(name='features_norm5')(x, moments)))
        head = partial(Dense, dtype=self.dtype, kernel_init=torch_default)
        return head(self.num_classes, name='classifier')(x).astype(jnp.float32)


def _joined(one: Moments, other: Moments) -> Moments:
    """The statistics of two maps' channels, side by side."""
    return jnp.concatenate([one[0], other[0]]), jnp.concatenate([one[1], other[1]])
