"""Image files as a model takes them: turned upright, cropped to their middle, resized."""

import numpy as np
from PIL import Image, ImageOps


def read(paths: list[str], shape: tuple[int, int, int]) -> np.ndarray:
    """Bytes, [n height width channels]; ends the program where that cannot be."""
    if not paths:
        raise SystemExit('name image files: python use_....py chest.png')
    return np.stack([_fitted(path, *shape) for path in paths])


def _fitted(path: str, height: int, width: int, channels: int) -> np.ndarray:
    picture = _upright(path)
    if min(picture.size) < min(16, height):
        raise SystemExit(f'{path} has {picture.size} pixels; at least 16 x 16 are needed')
    if picture.mode == 'F':
        raise SystemExit(f'{path}: its numbers have a fraction; store them as 8 or 16 bits')
    if picture.mode.startswith('I'):  # 16 bits
        picture = Image.fromarray(np.rint(np.asarray(picture) / 257).astype(np.uint8))
    picture = picture.convert('L' if picture.mode in ('1', 'L', 'LA') else 'RGB')
    if picture.size != (width, height):
        if height != width:
            raise SystemExit(f'{path} has {picture.size} pixels; ({width}, {height}) are needed')
        picture = _square(picture, height)
    if channels == 1 and picture.mode == 'RGB' and np.ptp(np.asarray(picture), -1).mean() > 8:
        raise SystemExit(f'{path} is in colour; this model takes gray images')
    picture = picture.convert('L' if channels == 1 else 'RGB')
    return np.asarray(picture).reshape(height, width, channels)


def _upright(path: str) -> Image.Image:
    try:
        with Image.open(path) as picture:
            if getattr(picture, 'n_frames', 1) > 1:
                raise SystemExit(f'{path} has several frames; one is allowed')
            return ImageOps.exif_transpose(picture)
    except OSError as error:
        raise SystemExit(f'{path} cannot be read: {error}') from error


def _square(picture: Image.Image, size: int) -> Image.Image:
    """The middle as far as the shorter edge, at `size` pixels."""
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    middle = picture.crop((left, top, left + edge, top + edge))
    return middle.resize((size, size), Image.Resampling.BILINEAR)
