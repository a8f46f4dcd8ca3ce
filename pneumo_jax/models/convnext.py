"""ConvNeXt (Liu et al. 2022, arXiv:2201.03545), named as in timm."""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype
from jax import Array
from jaxtyping import Float

from pneumo_jax.errors import UserError
from pneumo_jax.models import pooling
from pneumo_jax.models.layers import (
    Conv,
    Dense,
    DropPath,
    Layer,
    drop_rates,
    gelu,
    layer_norm,
    truncated,
)


class Block(nn.Module):
    """A depthwise 7x7, then an MLP per position, scaled by `gamma` and added to the input."""

    conv: Layer
    norm: Layer
    dense: Layer
    drop: Layer

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
        width = x.shape[-1]
        y = self.conv(width, 7, padding=3, groups=width, name='conv_dw')(x)
        y = self.dense(4 * width, name='mlp_fc1')(self.norm(name='norm')(y))
        y = self.dense(width, name='mlp_fc2')(gelu(y))
        gamma = self.param('gamma', nn.initializers.constant(1e-6), (width,))
        return x + self.drop()(gamma.astype(y.dtype) * y)


class ConvNeXtTiny(nn.Module):
    """`blocks` and channels (`dims`) per stage; `drop_path` is the last block's `DropPath` rate."""

    num_classes: int
    blocks: tuple[int, ...] = (3, 3, 9, 3)
    dims: tuple[int, ...] = (96, 192, 384, 768)
    drop_path: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def __post_init__(self) -> None:
        if len(self.blocks) != len(self.dims):
            raise UserError(
                f'convnext has one entry of blocks and of dims per stage, got blocks={self.blocks} '
                f'and dims={self.dims}; make them the same length.'
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        conv = partial(Conv, use_bias=True, dtype=self.dtype, kernel_init=truncated)
        norm = layer_norm(self.dtype)
        dense = partial(Dense, dtype=self.dtype, kernel_init=truncated)
        rates = iter(drop_rates(self.drop_path, sum(self.blocks)))
        x = image
        for stage, (depth, width) in enumerate(zip(self.blocks, self.dims, strict=True)):
            if stage == 0:
                x = norm(name='stem_1')(conv(width, 4, 4, name='stem_0')(x))
            else:
                x = norm(name=f'stages_{stage}_downsample_0')(x)
                x = conv(width, 2, 2, name=f'stages_{stage}_downsample_1')(x)
            for i in range(depth):
                drop = partial(DropPath, next(rates), train)
                x = Block(conv, norm, dense, drop, name=f'stages_{stage}_blocks_{i}')(x)
        x = norm(name='head_norm')(pooling.global_avg_pool(x))
        return dense(self.num_classes, name='head_fc')(x).astype(jnp.float32)
