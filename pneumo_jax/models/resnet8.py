"""A compact residual network for small images, named as the larger ones are."""

from functools import partial

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
    SqueezeExcite,
    batch_norm,
    check_odd,
    drop_rates,
    kaiming_fan_out,
    torch_default,
)
from pneumo_jax.models.resnet import Block, basic


class ResNet8(nn.Module):
    """`blocks` basic blocks per entry of `widths`, each stage halving the map.

    In front is a convolution to `stem` channels, which keeps the map at a `stem_stride` of 1, and
    behind the mean of the map, `dropout` and the head. `kernel` is the size of all convolutions; a
    strided stem has at least 2 `stem_stride` - 1, so as to pass over no pixel. `excite` adds
    squeeze and excitation, and `drop_path` is the `DropPath` rate of the last block.
    """

    num_classes: int
    widths: tuple[int, ...] = (64, 128, 256)
    stem: int = 32
    stem_stride: int = 1
    blocks: int = 1
    kernel: int = 3
    excite: bool = False
    dropout: float = 0.2
    drop_path: float = 0.0
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_odd(self.kernel)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        conv = partial(Conv, dtype=self.dtype, kernel_init=kaiming_fan_out)
        norm = batch_norm(train=train, dtype=self.dtype, axis_name=self.axis_name)
        excite = partial(SqueezeExcite, self.dtype) if self.excite else None
        block = partial(Block, basic(self.kernel), excite=excite, conv=conv, norm=norm)
        size = max(self.kernel, 2 * self.stem_stride - 1)
        x = conv(self.stem, size, self.stem_stride, size // 2, name='conv1')(image)
        x = nn.relu(norm(name='bn1')(x))
        rates = iter(drop_rates(self.drop_path, self.blocks * len(self.widths)))
        for stage, width in enumerate(self.widths, 1):
            for i in range(self.blocks):
                drop = partial(DropPath, next(rates), train)
                x = block(width, 1 if i else 2, drop, name=f'layer{stage}_{i}')(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(pooling.global_avg_pool(x))
        head = Dense(self.num_classes, dtype=self.dtype, kernel_init=torch_default, name='fc')
        return head(x).astype(jnp.float32)
