"""From an image file to a square array of bytes."""

import io
import pathlib
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from pneumo_jax.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

# Pillow would otherwise try every format it knows on a file, PostScript by another program too.
FORMATS = ('JPEG', 'PNG')


def decode(source: pathlib.Path | bytes) -> UInt8[np.ndarray, 'h w c']:
    """The pixels of a JPEG or PNG file: 1 channel where they are gray, else 3.

    Colour files with equal channels, as many chest radiographs are stored, count as gray. 16 bits
    become 8 (1/257, rounded); transparency is dropped; the EXIF orientation is applied.

    Raises:
      UserError: where the file cannot be read, is cut short, or is larger than Pillow allows.
    """
    from PIL import Image, ImageOps

    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=FORMATS) as image:
            image.load()
            return _pixels(ImageOps.exif_transpose(image))
    except Exception as error:  # on a damaged file Pillow raises almost any type
        name = file if isinstance(file, pathlib.Path) else 'the image'
        raise UserError(f'{name} cannot be read as a JPEG or PNG image: {error}') from error


def _pixels(image: 'Image.Image') -> UInt8[np.ndarray, 'h w c']:
    if image.mode.startswith('I'):
        return np.rint(np.asarray(image) / 257).astype(np.uint8)[..., None]
    if image.mode in ('1', 'L', 'LA'):
        return np.asarray(image.convert('L'))[..., None]
    pixels = np.asarray(image.convert('RGB'))
    return pixels[..., :1] if (pixels == pixels[..., :1]).all() else pixels


def square(image: UInt8[np.ndarray, 'h w c'], size: int) -> UInt8[np.ndarray, 'size size c']:
    """Centre crop to the short edge, then Pillow's bilinear filter: the steps of MedMNIST.

    Yang et al., MedMNIST v2, Scientific Data 10:41, 2023.
    """
    from PIL import Image

    height, width, channels = image.shape
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    crop = image[top : top + edge, left : left + edge]
    if edge == size:
        return crop.copy()  # a view would keep the whole image in memory
    picture = Image.fromarray(crop[..., 0] if channels == 1 else crop)
    resized = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(size, size, channels)
