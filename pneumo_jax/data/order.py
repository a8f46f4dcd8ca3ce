"""Which training images make up which step: a pure function of (seed, step).

Epochs are laid end to end, each a fresh permutation, and step k takes the k-th batch of that
stream. Every image comes exactly once an epoch, no batch is short, and a run resumes from its step
number alone.
"""

import functools

import numpy as np
from jaxtyping import Int


def indices(seed: int, step: int, size: int, batch_size: int) -> Int[np.ndarray, ' batch']:
    """The images of step `step` (from 0) of a training set of `size` images."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = np.divmod(positions, size)
    batch = np.empty(batch_size, np.int32)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        batch[here] = permutation(seed, int(epoch), size)[places[here]]
    return batch


def batches(
    seed: int, step: int, count: int, size: int, batch_size: int
) -> Int[np.ndarray, 'count batch']:
    """The images of `count` steps, the first of them `step`."""
    return np.stack([indices(seed, step + i, size, batch_size) for i in range(count)])


@functools.lru_cache(maxsize=32)  # two epochs of as many as 16 seeds
def permutation(seed: int, epoch: int, size: int) -> Int[np.ndarray, ' size']:
    """The order of the images in epoch `epoch` (from 0)."""
    return np.random.default_rng((seed, epoch)).permutation(size)


def epoch_end(epoch: int, size: int, batch_size: int) -> int:
    """The step after which `epoch` epochs (from 1) are over: the last whole batch within them."""
    return epoch * size // batch_size
