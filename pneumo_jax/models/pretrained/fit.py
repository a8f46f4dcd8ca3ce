"""From a file's tensors to our parameters: layout, colour, patch size and image size, and back.

Torch keeps kernels as [out, in, height, width] and [out, in], we as [height, width, in, out] and
[in, out].
"""

import functools
import math
from typing import Any

import numpy as np
from jaxtyping import Float

Array = np.ndarray
Shape = tuple[int, ...]

# The convolutions that see the image.
STEMS = ('conv1', 'features_conv0', 'stem_0', 'patch_embed_proj')


def grid(image_shape: Shape, patch: int) -> tuple[int, int]:
    """How many rows and columns of patches an image is cut into, the last ones padded."""
    return -(-image_shape[0] // patch), -(-image_shape[1] // patch)


def file_grid(
    tensors: dict[str, Array], names: dict[str, str], size: Shape | None
) -> tuple[int, int] | None:
    """A file's grid of position embeddings: square where the `size` of its images is unknown."""
    patch, position = (
        names.get(f'params/{name}') for name in ('patch_embed_proj/kernel', 'pos_embed')
    )
    if not (patch and position and tensors[position].ndim == 3 and tensors[patch].ndim == 4):
        return None
    tokens = tensors[position].shape[1] - 1
    known = grid(size, tensors[patch].shape[-1]) if size else _square(tokens)
    return known if known and math.prod(known) == tokens else None


def _square(tokens: int) -> tuple[int, int] | None:
    side = math.isqrt(max(0, tokens))
    return (side, side) if side and side**2 == tokens else None


def sums_colours(tensors: dict[str, Array], names: dict[str, str], initial: dict[str, Any]) -> bool:
    """Whether a model of gray images is to get weights of coloured ones."""
    stems = [f'params/{stem}/kernel' for stem in STEMS]
    return any(
        initial[stem].shape[2] == 1 and tensors[names[stem]].shape[1] == 3
        for stem in stems
        if stem in names and tensors[names[stem]].ndim == 4
    )


def ours(tensor: Array, path: str, shape: Shape) -> Array:
    """A file's tensor in our layout.

    A linear layer may come as a 1x1 convolution, and a vector with axes of 1 behind it.
    """
    tensor = tensor.astype(np.float32)
    if path.endswith('/kernel'):
        if tensor.ndim == 4 and len(shape) == 2 and tensor.shape[2:] == (1, 1):
            tensor = tensor[:, :, 0, 0]
        return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T
    return tensor.reshape(-1) if tensor.size == shape[0] and len(shape) == 1 else tensor


def theirs(tensor: Array, path: str) -> Array:
    """Our parameter in a file's layout; squeeze and excitation are 1x1 convolutions in timm."""
    tensor = np.asarray(tensor, np.float32)
    if path.endswith('/kernel'):
        tensor = tensor.transpose(3, 2, 0, 1) if tensor.ndim == 4 else tensor.T
        if '/se_module/' in path:
            tensor = tensor[:, :, None, None]
    return np.ascontiguousarray(tensor)


def resampled(
    tensor: Array,
    path: str,
    shape: Shape,
    grid: tuple[int, int],
    old: tuple[int, int] | None = None,
) -> Array:
    """A tensor in our layout, fitted to gray images, our patch size and our grid of patches.

    `old` is the file's grid of patches; where it is None, a square one is resampled, and another
    left as it is. What cannot have our `shape` keeps its own.
    """
    layer = path.split('/')[1]
    if layer in STEMS and path.endswith('/kernel') and tensor.ndim == 4:
        if tensor.shape[2] == 3 and shape[2] == 1:
            tensor = tensor.sum(2, keepdims=True)
        if layer == 'patch_embed_proj' and tensor.shape[:2] != shape[:2]:
            tensor = patches(tensor, shape[:2])
    if layer == 'pos_embed' and tensor.ndim == 3 and len(tensor) == 1:
        if not old and tensor.shape[1] != shape[1]:
            old = _square(tensor.shape[1] - 1)
        if old and old != grid:
            tensor = positions(tensor, old, grid)
    return tensor


def positions(
    embedding: Float[Array, '1 t d'], old: tuple[int, int], new: tuple[int, int]
) -> Float[Array, '1 t2 d']:
    """Position embeddings of one grid, behind that of the class token, for another grid.

    Bicubic with antialiasing, as timm's `resample_abs_pos_embed`.
    """
    token, rest = embedding[:, :1], embedding[:, 1:]
    rows, columns = (cubic(before, after) for before, after in zip(old, new, strict=True))
    found = np.einsum('yi,xj,ijd->yxd', rows, columns, rest.reshape(*old, -1), optimize=True)
    found = found.reshape(1, -1, rest.shape[-1]).astype(np.float32)
    return np.concatenate([token, found], axis=1)


def patches(kernel: Float[Array, 'p p c d'], size: Shape) -> Float[Array, 'h w c d']:
    """A patch embedding for patches of another size, as timm's `resample_patch_embed`.

    It answers a resized patch as the old one did the patch: the pseudo-inverse of the resizing
    (FlexiViT, Beyer et al. 2023, arXiv:2212.08013).
    """
    old = kernel.shape[:2]
    resize = np.kron(cubic(old[0], size[0]), cubic(old[1], size[1]))
    found = np.linalg.pinv(resize.T) @ kernel.reshape(old[0] * old[1], -1)
    return found.reshape(*size, *kernel.shape[2:]).astype(np.float32)


@functools.cache
def cubic(old: int, new: int) -> Float[Array, 'new old']:
    """The matrix that resizes a line of pixels: Keys' cubic (a = -1/2), antialiased, as Pillow's.

    So torch's `interpolate(mode='bicubic', antialias=True)` does.
    """
    scale = max(old / new, 1)
    centres = (np.arange(new)[:, None] + 0.5) * old / new
    x = np.abs(np.arange(old) + 0.5 - centres) / scale
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, inner, np.where(x < 2, outer, 0))
    return weights / weights.sum(1, keepdims=True)
