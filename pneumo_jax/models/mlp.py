"""One hidden layer on the raw pixels: the floor any other model must clear."""

from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype
from jax import Array
from jaxtyping import Float

from pneumo_jax.models.layers import Dense, torch_default


class MLP(nn.Module):
    """`hidden` units with ReLU, and the head."""

    num_classes: int
    hidden: int = 128
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        dense = partial(Dense, dtype=self.dtype, kernel_init=torch_default)
        x = image.reshape(image.shape[0], -1).astype(self.dtype)
        x = nn.relu(dense(self.hidden, name='fc1')(x))
        return dense(self.num_classes, name='fc2')(x).astype(jnp.float32)
