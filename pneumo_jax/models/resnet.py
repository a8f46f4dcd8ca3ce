"""Residual networks as torchvision has them (v1.5: a bottleneck strides in its 3x3).

He et al. 2016 (arXiv:1512.03385); with squeeze and excitation before each residual sum, Hu et al.
2018 (arXiv:1709.01507).
"""

from functools import partial
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype
from jax import Array
from jaxtyping import Float

from pneumo_jax.models import pooling
from pneumo_jax.models.layers import (
    Conv,
    Dense,
    DropPath,
    Layer,
    SqueezeExcite,
    batch_norm,
    drop_rates,
    kaiming_fan_out,
    torch_default,
)

# A block's convolutions: (kernel, multiple of the stage's width, carries the block's stride).
Layout = tuple[tuple[int, int, bool], ...]


def basic(kernel: int) -> Layout:
    """Two convolutions, the first with the stride."""
    return (kernel, 1, True), (kernel, 1, False)


BASIC = basic(3)
BOTTLENECK: Layout = ((1, 1, False), (3, 1, True), (1, 4, False))


class Block(nn.Module):
    """Convolutions added to their input, which a strided 1x1 fits where the shapes differ."""

    layout: Layout
    width: int
    stride: int
    drop: Layer
    excite: Layer | None
    conv: Layer
    norm: Layer

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 k']:
        y = x
        for i, (size, multiple, strided) in enumerate(self.layout, 1):
            y = nn.relu(y) if i > 1 else y
            stride = self.stride if strided else 1
            y = self.conv(self.width * multiple, size, stride, size // 2, name=f'conv{i}')(y)
            y = self.norm(name=f'bn{i}')(y)
        if self.excite:
            y = self.excite(name='se_module')(y)
        y = self.drop()(y)
        if x.shape != y.shape:
            x = self.conv(y.shape[-1], 1, self.stride, name='downsample_0')(x)
            x = self.norm(name='downsample_1')(x)
        return nn.relu(x + y)


class ResNet18(nn.Module):
    """`blocks` per stage; the first stage has `width` channels, each later one twice as many.

    `drop_path` is the `DropPath` rate of the last block.
    """

    layout: ClassVar[Layout] = BASIC
    excite: ClassVar[bool] = False

    num_classes: int
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    drop_path: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        conv = partial(Conv, dtype=self.dtype, kernel_init=kaiming_fan_out)
        norm = batch_norm(train=train, dtype=self.dtype, axis_name=self.axis_name)
        excite = partial(SqueezeExcite, self.dtype) if self.excite else None
        block = partial(Block, self.layout, excite=excite, conv=conv, norm=norm)
        x = conv(self.width, 7, 2, 3, name='conv1')(image)
        x = nn.relu(pooling.max_pool(norm(name='bn1')(x), 3, stride=2, padding=1))
        rates = iter(drop_rates(self.drop_path, sum(self.blocks)))
        for stage, depth in enumerate(self.blocks):
            for i in range(depth):
                stride = 2 if stage and not i else 1
                drop = partial(DropPath, next(rates), train)
                x = block(self.width << stage, stride, drop, name=f'layer{stage + 1}_{i}')(x)
        head = Dense(self.num_classes, dtype=self.dtype, kernel_init=torch_default, name='fc')
        return head(pooling.global_avg_pool(x)).astype(jnp.float32)


class ResNet50(ResNet18):
    """Of bottlenecks, whose output has four times the channels of the stage's width."""

    layout = BOTTLENECK
    blocks: tuple[int, ...] = (3, 4, 6, 3)


class SEResNet18(ResNet18):
    """ResNet18 with squeeze and excitation."""

    excite = True


class SEResNet50(ResNet50):
    """ResNet50 with squeeze and excitation."""

    excite = True
