"""A model's logits for a split, every image exactly once on any number of devices."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8

from pneumo_jax import runtime

AHEAD = 8  # batches that may be under way: enough that no device waits, and few enough to fit


def batches(
    images: UInt8[np.ndarray, 'n h w c'], batch_size: int, mesh: Mesh
) -> Iterator[UInt8[Array, 'b h w c']]:
    """`images` on the devices, in order, in batches of one shape.

    `batch_size` grows to what the devices share evenly. The last batch is filled up with blank
    images, so that one compiled program serves all.
    """
    batch_size = -(-batch_size // mesh.size) * mesh.size
    for first in range(0, len(images), batch_size):
        batch = images[first : first + batch_size]
        blank = np.zeros((batch_size - len(batch), *images.shape[1:]), images.dtype)
        yield runtime.shard(np.concatenate([batch, blank]) if len(blank) else batch, mesh)


def logits(
    predict: Callable[[Any, UInt8[Array, 'b h w c']], Float[Array, '... b k']],
    variables: Any,
    batches: Iterable[UInt8[Array, 'b h w c']],
    size: int,
) -> Float[np.ndarray, '... n k']:
    """Float32 logits of the first `size` images of `batches`, in their order.

    `predict` must return logits that every process holds whole.
    """
    parts: list[jax.Array] = []
    for batch in batches:
        parts.append(predict(variables, batch))
        if len(parts) > AHEAD:
            parts[-AHEAD - 1].block_until_ready()
    return np.concatenate([np.asarray(part, np.float32) for part in parts], -2)[..., :size, :]
