"""From a DICOM file to bytes as a viewer shows them.

Stored values go through the modality transform and the first VOI table or window, and MONOCHROME1
is turned around: DICOM PS3.3 C.11.1, C.11.2 and C.7.6.3.1.2.
"""

import io
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from jaxtyping import Float, Int, UInt8

if TYPE_CHECKING:
    from pydicom import Dataset

NEEDED = ('PhotometricInterpretation', 'Rows', 'Columns', 'BitsAllocated')
LARGEST = 2**28  # bytes of a file: a radiograph of 4,000 x 5,000 pixels and 16 bits has 40 MB
GRAY = ('MONOCHROME1', 'MONOCHROME2')
COLOUR = ('RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_RCT', 'YBR_ICT')
DEFLATED = '1.2.840.10008.1.2.1.99'
JPEG2000 = b'\xff\x4f\xff\x51'
JP2 = b'jP  '  # a container of boxes around it
# Start of frame: JPEG's, of which C4, C8 and CC are none, and JPEG-LS's.
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with these 132 bytes is DICOM, whatever its name."""
    return head[128:132] == b'DICM'


def decode(file: BinaryIO) -> UInt8[np.ndarray, 'h w c']:
    """The pixels of a DICOM file: 1 channel of MONOCHROME1 and 2, else 3.

    With neither a VOI table nor a window, up to 8 bits stored are taken as they are, and more are
    stretched from the smallest to the largest value that is no padding.

    Raises:
        ValueError: what cannot be read, with the reason; on a damaged file pydicom raises others.
    """
    from pydicom import pixels
    from pydicom.pixels.processing import apply_color_lut

    dataset = _checked(file)
    gray = dataset.PhotometricInterpretation in GRAY
    stored = pixels.pixel_array(dataset)
    full = 255 if stored.dtype == np.uint8 else 2**dataset.BitsStored - 1
    if dataset.PhotometricInterpretation == 'PALETTE COLOR':
        stored = apply_color_lut(stored, dataset)
        full = np.iinfo(stored.dtype).max
    if stored.shape != (dataset.Rows, dataset.Columns, 3)[: 2 if gray else 3]:
        raise ValueError(f'its header and its pixels, of shape {stored.shape}, do not agree')
    if gray:
        return _gray(stored, dataset)[..., None]
    return np.rint(np.minimum(stored, full) / (full / 255)).astype(np.uint8)


def _checked(file: BinaryIO) -> 'Dataset':
    """The data set, where it is one image that can be decoded in bounded memory."""
    import pydicom

    if file.seek(0, io.SEEK_END) > LARGEST:
        raise ValueError(f'it is larger than {LARGEST >> 20} MiB')
    file.seek(132)
    meta = pydicom.filereader.read_dataset(
        file, False, True, stop_when=lambda tag, *_: tag.group > 2
    )
    if meta.get('TransferSyntaxUID') == DEFLATED:
        raise ValueError('it is deflated, to an unknown size; store it without')
    file.seek(0)
    dataset = pydicom.dcmread(file)
    if 'PixelData' not in dataset:
        raise ValueError('it holds no image')
    if int(dataset.get('NumberOfFrames') or 1) > 1:
        raise ValueError(f'it holds {dataset.NumberOfFrames} frames; one is allowed')
    if missing := [name for name in NEEDED if name not in dataset]:
        raise ValueError(f'it does not say its {", ".join(missing)}')
    kind = dataset.PhotometricInterpretation
    if kind not in (*GRAY, *COLOUR, 'PALETTE COLOR') or dataset.BitsAllocated > 16:
        raise ValueError(f'{kind} of {dataset.BitsAllocated} bits is no radiograph')
    check_pixels(dataset.Rows, dataset.Columns)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        _check_compressed(dataset)
    return dataset


def _check_compressed(dataset: 'Dataset') -> None:
    """Refuse what no installed package decodes, and a frame larger than the file says it is."""
    from pydicom import encaps, pixels

    syntax = dataset.file_meta.TransferSyntaxUID
    if not pixels.get_decoder(syntax).is_available:
        raise ValueError(f"{syntax.name} needs another package: pip install 'pneumo_jax[dicom]'")
    frame = encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    if not syntax.startswith('1.2.840.10008.1.2.5'):  # RLE, which states no size
        check_pixels(*_size(frame))


def _size(frame: bytes) -> tuple[int, int]:
    """Height and width, of a frame of JPEG, JPEG-LS or JPEG 2000."""
    place = 0
    while frame[4:8] == JP2 and frame[place + 4 : place + 8] != b'jp2c':
        place += max(8, int.from_bytes(frame[place : place + 4]))
        if place >= len(frame):
            raise ValueError('its JPEG 2000 container is damaged')
    place += 8 * (frame[4:8] == JP2)
    if frame[place : place + 4] == JPEG2000:
        right, low, left, top = struct.unpack_from('>4I', frame, place + 8)
        return low - top, right - left
    place = 2
    while frame[place + 1] not in FRAMES:
        place += 2 + struct.unpack_from('>H', frame, place + 2)[0]
    height, width = struct.unpack_from('>2H', frame, place + 5)
    return height, width


def check_pixels(height: int, width: int) -> None:
    """Refuse (`ValueError`) more pixels than Pillow's lower limit."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    if limit and height * width > limit:
        raise ValueError(
            f'{width} x {height} pixels exceed the limit of {limit:,}: a decompression bomb?'
        )


def _gray(stored: Int[np.ndarray, 'h w'], dataset: 'Dataset') -> UInt8[np.ndarray, 'h w']:
    """What is shown of every pixel, by a table: they are many more than their values."""
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation
    low, high = _span(stored, dataset)
    if bits <= 8:
        low, high = min(low, -signed << bits - 1), max(high, (1 << bits - signed) - 1)
    shown = _shown(np.arange(low, high + 1, dtype=np.int32), dataset)
    if dataset.PhotometricInterpretation == 'MONOCHROME1':
        shown = 1 - shown
    table = np.rint(255 * shown).astype(np.uint8)
    return table[np.clip(stored, low, high).astype(np.int32) - low]


def _span(stored: Int[np.ndarray, 'h w'], dataset: 'Dataset') -> tuple[int, int]:
    """The smallest and largest value that is not padding."""
    padding = dataset.get('PixelPaddingValue')
    if padding is not None:
        ends = sorted((padding, dataset.get('PixelPaddingRangeLimit', padding)))
        inside = stored[(stored < ends[0]) | (stored > ends[1])]
        stored = inside if inside.size else stored
    return int(stored.min()), int(stored.max())


def _shown(levels: Int[np.ndarray, ' n'], dataset: 'Dataset') -> Float[np.ndarray, ' n']:
    """Stored values as brightness from 0 to 1, before MONOCHROME1 is turned around."""
    from pydicom.pixels import processing

    values: Any = processing.apply_modality_lut(levels, dataset)
    low, high = values.min(), values.max()
    if tables := dataset.get('VOILUTSequence'):
        depth = tables[0].LUTDescriptor[2]
        # pydicom computes the index into a table of 8 bits with 8 bits.
        tables[0].LUTDescriptor[2] = 16
        values = processing.apply_voi(np.rint(values).astype(np.int32), dataset)
        low, high = 0, 2**depth - 1
    elif None not in (dataset.get('WindowCenter'), dataset.get('WindowWidth')):
        with np.errstate(over='ignore'):
            ends = np.array([-1e12, 1e12])  # what is far outside of the window
            values = processing.apply_windowing(np.concatenate([values, ends]), dataset)
        values, (low, high) = values[:-2], values[-2:]
    if not np.isfinite([*values, low, high]).all():
        raise ValueError('its rescaling or its window gives no numbers')
    return np.clip((values - low) / (high - low or 1), 0, 1)
