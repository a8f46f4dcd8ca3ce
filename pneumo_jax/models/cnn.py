"""Plain convolutional networks: convolution, ReLU, halve; then one hidden layer."""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype
from jax import Array, lax
from jaxtyping import Float

from pneumo_jax.models import pooling
from pneumo_jax.models.layers import Conv, Dense, batch_norm, check_odd, torch_default


class CNN(nn.Module):
    """One block per entry of `features`; `kernel` is odd, so that blocks keep the map's size."""

    num_classes: int
    features: tuple[int, ...] = (16, 32)
    kernel: int = 3
    hidden: int = 128
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_odd(self.kernel)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        dense = partial(Dense, dtype=self.dtype, kernel_init=torch_default)
        conv = partial(
            Conv, size=self.kernel, padding=self.kernel // 2, use_bias=True, dtype=self.dtype
        )
        x = image.astype(self.dtype)
        for i, features in enumerate(self.features, 1):
            x = nn.relu(pooling.max_pool(conv(features, name=f'conv{i}')(x), 2, stride=2))
        x = nn.relu(dense(self.hidden, name='fc1')(_flat(x)))
        return dense(self.num_classes, name='fc2')(x).astype(jnp.float32)


class CNNBatchNormDropout(nn.Module):
    """The same with BatchNorm after each convolution and dropout before the head.

    The convolutions have no bias: BatchNorm removes it, and its gradient would be round-off.
    """

    num_classes: int
    features: tuple[int, ...] = (32, 64)
    kernel: int = 3
    hidden: int = 256
    dropout: float = 0.5
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def __post_init__(self) -> None:
        check_odd(self.kernel)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        dense = partial(Dense, dtype=self.dtype, kernel_init=torch_default)
        conv = partial(Conv, size=self.kernel, padding=self.kernel // 2, dtype=self.dtype)
        norm = batch_norm(train=train, dtype=self.dtype, axis_name=self.axis_name)
        x = image.astype(self.dtype)
        for i, features in enumerate(self.features, 1):
            x = norm(name=f'bn{i}')(conv(features, name=f'conv{i}')(x))
            x = nn.relu(pooling.max_pool(x, 2, stride=2))
        x = nn.relu(dense(self.hidden, name='fc1')(_flat(x)))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return dense(self.num_classes, name='fc2')(x).astype(jnp.float32)


def _flat(x: Float[Array, 'b h w c']) -> Float[Array, 'b k']:
    """Each image's map as one row.

    The barrier keeps the index arithmetic of that out of the loop that pools, which on a CPU is
    then done with vectors: the second block of `CNN` and its product 2.6 to 2.3 ms at 28 px.
    """
    return lax.optimization_barrier(x).reshape(x.shape[0], -1)
