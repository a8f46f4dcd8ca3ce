"""Images that are no radiographs, to see whether they are refused."""

import numpy as np
from jaxtyping import UInt8

COUNT = 200


def draw(shape: tuple[int, ...]) -> dict[str, UInt8[np.ndarray, 'n h w c']]:
    """Blanks of every grey, noise, and crops of photographs, of shape (height, width, channels).

    The two photographs are those that scikit-learn brings.
    """
    rng = np.random.default_rng(0)
    grey = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return {
        'blank': np.broadcast_to(grey, (256, *shape)).copy(),
        'noise': rng.integers(0, 256, (COUNT, *shape), np.uint8),
        'photographs': _photographs(rng, shape),
    }


def _photographs(rng: np.random.Generator, shape: tuple[int, ...]) -> UInt8[np.ndarray, 'n h w c']:
    from PIL import Image
    from sklearn.datasets import load_sample_images

    mode = 'L' if shape[2] == 1 else 'RGB'
    found = []
    for photograph in load_sample_images().images:
        picture = Image.fromarray(photograph).convert(mode)
        for _ in range(COUNT // 2):
            side = int(rng.integers(60, min(picture.size) + 1))
            left, top = (int(rng.integers(0, size - side + 1)) for size in picture.size)
            crop = picture.crop((left, top, left + side, top + side))
            sized = crop.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
            found.append(np.asarray(sized).reshape(shape))
    return np.stack(found)
