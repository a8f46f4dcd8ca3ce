"""Weights and images that every machine draws alike, so that only their logits are committed."""

import zlib

import numpy as np
from jaxtyping import Float, UInt8

Shape = tuple[int, ...]


def tensors(shapes: dict[str, Shape]) -> dict[str, np.ndarray]:
    """A file's tensors by torch's names: every one differs, no layer dies, and none explodes."""
    return {name: tensor(name, tuple(shape)) for name, shape in shapes.items()}


def tensor(name: str, shape: Shape) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith('num_batches_tracked'):
        return np.array(7, np.int64)
    if name.endswith(('running_var', 'gamma', 'layer_scale')):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith('weight') and len(shape) == 1:
        return rng.uniform(0.2, 1.2, shape).astype(np.float32)
    spread = 1 / np.sqrt(np.prod(shape[1:])) if name.endswith('weight') else 0.2
    return (spread * rng.standard_normal(shape)).astype(np.float32)


def images(height: int, width: int, channels: int = 3) -> UInt8[np.ndarray, '2 h w c']:
    """Noise, half of it in blocks, so that a mistake of one pixel or one patch is seen."""
    rng = np.random.default_rng(5)
    shape = (2, height, width, channels)
    blocks = rng.integers(0, 256, (2, -(-height // 8), -(-width // 8), channels))
    blocks = blocks.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    return ((blocks + rng.integers(0, 256, shape)) // 2).astype(np.uint8)


def fed(
    image: UInt8[np.ndarray, 'b h w c'], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[np.ndarray, 'b h w c']:
    """What the models were trained to see."""
    scaled = (image / 255 - np.array(mean)) / np.array(std)
    return scaled.astype(np.float32)
