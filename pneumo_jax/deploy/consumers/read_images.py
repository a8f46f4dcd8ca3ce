"""Image files as a model takes them: turned upright, cropped to their middle, resized."""

import numpy as np
from PIL import Image, ImageOps


def read(paths: list[str], size: int, channels: int) -> np.ndarray:
    """Bytes, [n size size channels]; ends the program where that cannot be."""
    if not paths:
        raise SystemExit('name image files: python use_....py chest.png')
    return np.stack([_square(path, size, channels) for path in paths])


def _square(path: str, size: int, channels: int) -> np.ndarray:
    try:
        picture = ImageOps.exif_transpose(Image.open(path))
    except OSError as error:
        raise SystemExit(f'{path} cannot be read: {error}') from error
    if min(picture.size) < min(16, size):
        raise SystemExit(f'{path} has {picture.size} pixels; at least 16 x 16 are needed')
    if picture.mode == 'F':
        raise SystemExit(f'{path}: its numbers have a fraction; store them as 8 or 16 bits')
    if picture.mode.startswith('I'):  # 16 bits
        picture = Image.fromarray(np.rint(np.asarray(picture) / 257).astype(np.uint8))
    picture = picture.convert('L' if picture.mode in ('1', 'L', 'LA') else 'RGB')
    if channels == 1 and picture.mode == 'RGB' and np.ptp(np.asarray(picture), -1).mean() > 8:
        raise SystemExit(f'{path} is in colour; this model takes gray images')
    width, height = picture.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    picture = picture.crop((left, top, left + edge, top + edge))
    picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    picture = picture.convert('L' if channels == 1 else 'RGB')
    return np.asarray(picture).reshape(size, size, channels)
