"""A model's logits for a split, every image exactly once on any number of devices."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8

from pneumo_jax import runtime


def logits(
    predict: Callable[[Any, UInt8[Array, 'b h w c']], Float[Array, 'b k']],
    variables: Any,
    images: UInt8[np.ndarray, 'n h w c'],
    *,
    batch_size: int,
    mesh: Mesh,
) -> Float[np.ndarray, 'n k']:
    """Float32 logits of `images`, in their order.

    `predict` must return logits that every process holds whole. The last batch is filled up with
    blank images, whose logits are dropped, so that one compiled shape serves all.
    """
    batch_size = -(-batch_size // mesh.size) * mesh.size
    parts = []
    for first in range(0, len(images), batch_size):
        batch = images[first : first + batch_size]
        blank = np.zeros((batch_size - len(batch), *images.shape[1:]), images.dtype)
        batch = np.concatenate([batch, blank]) if len(blank) else batch
        parts.append(predict(variables, runtime.shard(batch, mesh)))
    return np.concatenate([np.asarray(part, np.float32) for part in parts])[: len(images)]
