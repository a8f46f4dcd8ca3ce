"""From image files to what a model takes, decoded by threads while the model is at work."""

import collections
import concurrent.futures
import functools
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from pneumo_jax.data import images
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.deploy.walk import File
from pneumo_jax.errors import UserError

AHEAD = 2  # batches that are decoded before they are asked for

Image = UInt8[np.ndarray, 'h w c']


def stream(
    files: Sequence[File], preprocess: Preprocess, batch_size: int
) -> Iterator[list[tuple[File, Image | UserError]]]:
    """Every file with its image, or with the reason why it has none, in order and in batches.

    Memory is bounded: at most AHEAD + 1 batches at the model's size, and an image in full size for
    every thread.
    """
    load = functools.partial(_load, preprocess=preprocess)
    chunks = [files[i : i + batch_size] for i in range(0, len(files), batch_size)]
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    started: collections.deque[list[concurrent.futures.Future[Image | UserError]]]
    started = collections.deque()
    try:
        for i, chunk in enumerate(chunks):
            while i + len(started) < min(i + AHEAD + 1, len(chunks)):
                started.append([pool.submit(load, file.path) for file in chunks[i + len(started)]])
            yield list(zip(chunk, (task.result() for task in started.popleft()), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _load(path: pathlib.Path, preprocess: Preprocess) -> Image | UserError:
    try:
        return images.read(path, preprocess.image_shape)
    except UserError as error:
        return error
