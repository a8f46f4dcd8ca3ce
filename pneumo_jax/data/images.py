"""From an image file to a square array of bytes."""

import io
import pathlib
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from pneumo_jax.data import dicom
from pneumo_jax.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

# Pillow would otherwise try every format it knows on a file, PostScript by another program too.
FORMATS = ('JPEG', 'PNG', 'TIFF')
# Mean difference between the highest and the lowest channel. JPEG and a tint leave 0 to 6 levels,
# a photograph has 20 and more.
NEARLY_GRAY = 8.0
SMALLEST = 16  # pixels of the short edge; anything smaller shows nothing
BITS, PHOTOMETRIC = 258, 262  # tags of TIFF
WHITE_IS_ZERO = 0


def decode(source: pathlib.Path | bytes) -> UInt8[np.ndarray, 'h w c']:
    """The pixels of a JPEG, PNG, TIFF or DICOM file: 1 channel where they are gray, else 3.

    Colour files with equal channels, as many chest radiographs are stored, count as gray. 16 bits
    become 8 (1/257, rounded); transparency is dropped; the EXIF orientation is applied. DICOM is
    told by its content, and shown as `dicom.decode` says.

    Raises:
      UserError: where the file cannot be read, is cut short, or is larger than Pillow allows.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open('rb') as file:
            if dicom.is_dicom(file.read(132)):
                return _one_if_gray(dicom.decode(file))
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                dicom.check_pixels(image.height, image.width)
                if image.format == 'TIFF':
                    return _tiff(image)
                if image.format == 'PNG' and getattr(image, 'n_frames', 1) > 1:
                    raise ValueError('it is animated; one frame is allowed')
                image.load()
                return _pixels(ImageOps.exif_transpose(image))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # Pillow and pydicom raise any type, and Rust's no Exception
        name = source if isinstance(source, pathlib.Path) else 'the image'
        reason = 'it is none' if isinstance(error, UnidentifiedImageError) else error
        raise UserError(
            f'{name} cannot be read as a JPEG, PNG, TIFF or DICOM image: {reason}'
        ) from error


def _tiff(image: 'Image.Image') -> UInt8[np.ndarray, 'h w c']:
    """Pillow turns a TIFF upright by itself; it reads 12 bits, and white as 0, as they are."""
    pages, tags = getattr(image, 'n_frames', 1), getattr(image, 'tag_v2', {})
    if pages > 1:
        raise ValueError(f'it has {pages} pages; one is allowed')
    if image.mode == 'F':
        raise ValueError('its numbers have a fraction; store them as 8 or 16 bits')
    image.load()
    wide = image.mode.startswith('I')
    pixels = _pixels(image, full=4095 if tags.get(BITS) == (12,) else 65535)
    return 255 - pixels if wide and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else pixels


def _pixels(image: 'Image.Image', full: int = 65535) -> UInt8[np.ndarray, 'h w c']:
    if image.mode.startswith('I'):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > full:
            raise ValueError(
                f'it has values from {levels.min()} to {levels.max()}; 16 bits are read'
            )
        return np.rint(levels / (full / 255)).astype(np.uint8)[..., None]
    if image.mode in ('1', 'L', 'LA'):
        return np.asarray(image.convert('L'))[..., None]
    return _one_if_gray(np.asarray(image.convert('RGB')))


def _one_if_gray(pixels: UInt8[np.ndarray, 'h w c']) -> UInt8[np.ndarray, 'h w c']:
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


def read(source: pathlib.Path | bytes, shape: tuple[int, int, int]) -> UInt8[np.ndarray, 'h w c']:
    """One image file as a model of `shape` takes it.

    Raises:
      UserError: `decode`, `check_size` or `fitted` refuses it.
    """
    name = source if isinstance(source, pathlib.Path) else 'the image'
    image = decode(source)
    check_size(image, shape[0], name)
    return fitted(image, shape, name)


def check_size(image: UInt8[np.ndarray, 'h w c'], size: int, name: object) -> None:
    """Refuse (`UserError`) an image that shows nothing, unless `size` pixels are no more."""
    height, width, _ = image.shape
    if min(height, width) < min(SMALLEST, size):
        raise UserError(
            f'{name} has {width} x {height} pixels; at least {SMALLEST} x {SMALLEST} are needed.'
        )


def is_coloured(image: UInt8[np.ndarray, 'h w c']) -> bool:
    """Whether an image is in colour, and not nearly gray."""
    return bool(np.ptp(image, axis=-1).mean() > NEARLY_GRAY)


def fitted(
    image: UInt8[np.ndarray, 'h w c'], shape: tuple[int, int, int], name: object
) -> UInt8[np.ndarray, 'h2 w2 c2']:
    """An image as a model of `shape` (height, width, channels) takes it: `square`, and channels.

    Gray is repeated for a model of colour. For a model of gray, colour that is nearly gray becomes
    its luminance.

    Raises:
      UserError: it is in colour and the model is not, or the model's images are no squares, and
        this one has not their shape.
    """
    height, width, channels = shape
    if image.shape[:2] != (height, width):
        if height != width:
            raise UserError(
                f'{name} has {image.shape[1]} x {image.shape[0]} pixels; this model takes '
                f'{width} x {height}, and only squares are cropped and resized.'
            )
        image = square(image, height)
    return _with_channels(image, channels, name)


def _with_channels(
    image: UInt8[np.ndarray, 'h w c'], channels: int, name: object
) -> UInt8[np.ndarray, 'h w c2']:
    given = image.shape[-1]
    if given == channels:
        return image
    if given == 1:
        return np.repeat(image, channels, -1)
    if channels == 1 and not is_coloured(image):
        from PIL import Image

        return np.asarray(Image.fromarray(image).convert('L'))[..., None]
    raise UserError(f'{name} is in colour, {given} channels; this model takes {channels}.')
