"""DICOM files as modalities write them, made here or shipped with pydicom."""

import contextlib
import importlib.util
import io
import pathlib
import struct
import types

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from pneumo_jax.data.images import decode
from pneumo_jax.errors import UserError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
WIDE = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)


def made(pixels: np.ndarray, kind: str = 'MONOCHROME2', **fields: object) -> Dataset:
    """A data set with the pixels, and with other fields than they need."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.PhotometricInterpretation = kind
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = fields.pop('BitsStored', dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == 'i')
    dataset.PixelData = pixels.tobytes()
    dataset['PixelData'].VR = 'OB' if pixels.itemsize == 1 else 'OW'
    for name, value in fields.items():
        setattr(dataset, name, value)
    return dataset


def file(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def shown(pixels: np.ndarray, kind: str = 'MONOCHROME2', **fields: object) -> np.ndarray:
    return decode(file(made(pixels, kind, **fields)))[..., 0]


def linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """DICOM PS3.3 C.11.2.1.2.1."""
    return np.rint(255 * np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1))


def test_eight_bits_are_what_a_png_of_them_is() -> None:
    dark = RAMP // 2  # not stretched: a model sees the image that it was trained on
    assert np.array_equal(shown(dark), dark)
    assert np.array_equal(shown(dark, 'MONOCHROME1'), 255 - dark)
    assert np.array_equal(shown(dark, WindowCenter=128, WindowWidth=256), dark)


def test_the_first_window() -> None:
    one = shown(WIDE, BitsStored=12, WindowCenter=1000, WindowWidth=500)
    assert np.array_equal(one, linear(WIDE.astype(float), 1000, 500))
    many = {'WindowCenter': [1000, 40], 'WindowWidth': [500, 80]}
    assert np.array_equal(shown(WIDE, BitsStored=12, **many), one)
    assert np.array_equal(shown(WIDE, 'MONOCHROME1', BitsStored=12, **many), 255 - one)


def test_windows_that_are_not_linear() -> None:
    window = {'BitsStored': 12, 'WindowCenter': 2000, 'WindowWidth': 800}
    values = WIDE.astype(float)
    exact = np.clip((values - 2000) / 800 + 0.5, 0, 1)
    assert np.array_equal(
        shown(WIDE, VOILUTFunction='LINEAR_EXACT', **window), np.rint(255 * exact)
    )
    curve = 255 / (1 + np.exp(-4 * (values - 2000) / 800))
    assert np.array_equal(shown(WIDE, VOILUTFunction='SIGMOID', **window), np.rint(curve))
    with pytest.raises(UserError, match='Window Width'):
        shown(WIDE, WindowCenter=5, WindowWidth=0)


def test_rescaled_and_signed_values_before_the_window() -> None:
    signed = WIDE.astype(np.int16) - 2000
    found = shown(signed, RescaleSlope=2, RescaleIntercept=-24, WindowCenter=40, WindowWidth=400)
    assert np.array_equal(found, linear(signed * 2.0 - 24, 40, 400))


def test_without_a_window_padding_is_left_out_of_the_range() -> None:
    values = WIDE // 4 + 1000  # 1000 to 2023
    expected = np.rint((values - 1000) / 1023 * 255)
    assert np.array_equal(shown(values, BitsStored=12), expected)
    padded = np.vstack([np.zeros((1, 16), np.uint16), values])
    found = shown(padded, BitsStored=12, PixelPaddingValue=0)
    assert np.array_equal(found, np.vstack([np.zeros((1, 16)), expected]))
    assert (shown(np.full((16, 16), 700, np.uint16)) == 0).all()


@pytest.mark.parametrize('depth', [8, 12])
def test_a_voi_table_goes_before_a_window(depth: int) -> None:
    table = np.rint(np.sqrt(np.linspace(0, 1, 4096)) * (2**depth - 1)).astype(int)
    voi = Dataset()
    voi.LUTDescriptor, voi.LUTData = [4096, 0, depth], table.tolist()
    voi['LUTDescriptor'].VR = voi['LUTData'].VR = 'US'
    given = {'VOILUTSequence': [voi], 'WindowCenter': 9, 'WindowWidth': 9, 'BitsStored': 12}
    expected = np.rint(table[WIDE] / (2**depth - 1) * 255)
    assert np.array_equal(shown(WIDE, **given), expected)


def test_colour() -> None:
    colour = np.stack([RAMP, 255 - RAMP, RAMP // 2], -1)
    assert np.array_equal(decode(file(made(colour, 'RGB'))), colour)
    equal = np.repeat(RAMP[..., None], 3, -1)
    assert np.array_equal(decode(file(made(equal, 'RGB'))), RAMP[..., None])
    for bits in (12, 16):
        deep = np.rint(colour / 255 * (2**bits - 1)).astype(np.uint16)
        assert np.array_equal(decode(file(made(deep, 'RGB', BitsStored=bits))), colour)
    palette = decode(pathlib.Path(get_testdata_file('examples_palette.dcm')))
    assert palette.shape == (350, 800, 3) and palette.max() > 200


# RLE needs nothing beside pydicom.
compressed = pytest.mark.skipif(
    importlib.util.find_spec('pylibjpeg') is None,
    reason='compressed DICOM files need the extra: uv sync --extra dicom',
)


@compressed
@pytest.mark.parametrize('syntax', [RLELossless, JPEG2000Lossless])
def test_compressed_without_loss_is_the_same_and_cut_short_is_refused(syntax: str) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16)
    dataset = made(noise, BitsStored=12, WindowCenter=2000, WindowWidth=3000)
    whole = decode(file(dataset))
    dataset.compress(syntax)
    content = file(dataset)
    assert np.array_equal(decode(content), whole)
    for part in (0, 100, 200, len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(UserError, match='the image cannot be read'):
            decode(content[:part])


@compressed
@pytest.mark.parametrize(
    ('name', 'same'),
    [
        ('MR_small_jpeg_ls_lossless.dcm', 'MR_small.dcm'),
        ('MR_small_jp2klossless.dcm', 'MR_small.dcm'),
        ('MR_small_RLE.dcm', 'MR_small.dcm'),
        ('MR_small_bigendian.dcm', 'MR_small.dcm'),
        ('SC_rgb_jpeg_gdcm.dcm', 'SC_rgb_rle.dcm'),
    ],
)
def test_what_other_programs_compressed(name: str, same: str) -> None:
    paths = [pathlib.Path(get_testdata_file(each)) for each in (name, same)]
    assert np.array_equal(*map(decode, paths))


def test_a_compression_that_no_package_here_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = made(RAMP)
    dataset.compress(RLELossless)
    absent = types.SimpleNamespace(is_available=False)
    monkeypatch.setattr(pydicom.pixels, 'get_decoder', lambda syntax: absent)
    with pytest.raises(UserError, match=r"RLE Lossless needs .*pip install 'pneumo_jax\[dicom\]'"):
        decode(file(dataset))


def test_what_is_no_single_radiograph_is_refused() -> None:
    frames = made(np.concatenate([RAMP, RAMP]), NumberOfFrames=2, Rows=16)
    empty = made(RAMP)
    del empty.PixelData
    deep = made(RAMP.astype(np.uint32))
    deflated = made(RAMP)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    reasons = {'2 frames': frames, 'no image': empty, '32 bits': deep, 'deflated': deflated}
    for reason, dataset in reasons.items():
        with pytest.raises(UserError, match=reason):
            decode(file(dataset))
    more = made(np.concatenate([RAMP, RAMP]), Rows=len(RAMP))  # frames that it does not count
    three = made(np.stack([RAMP] * 3, -1), 'MONOCHROME2', SamplesPerPixel=3, PlanarConfiguration=0)
    one = made(RAMP, 'RGB', SamplesPerPixel=1)
    for dataset in (more, three, one):
        with pytest.raises(UserError, match='do not agree'):
            decode(file(dataset))
    rescaled = {'RescaleSlope': 'nan', 'RescaleIntercept': '0'}
    for fields in (rescaled, {'WindowCenter': 'nan', 'WindowWidth': '100'}):
        with pytest.raises(UserError, match='gives no numbers'):
            decode(file(made(WIDE, **fields)))
    with pytest.raises(UserError, match='cannot be read'):
        decode(file(made(RAMP))[132:])  # without the mark that says DICOM


@compressed
def test_bombs_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(UserError, match='bomb'):
        decode(file(made(RAMP, Rows=60_000, Columns=60_000)))
    small = made(np.tile(WIDE, (4, 4)))
    small.compress(JPEG2000Lossless)
    content = bytearray(file(small))
    place = content.index(b'\xff\x4f\xff\x51') + 8  # the codestream says another size than the file
    content[place : place + 8] = struct.pack('>2I', 60_000, 60_000)
    with pytest.raises(UserError, match=r'60000 x 60000 pixels .* bomb'):
        decode(bytes(content))
    jpeg = io.BytesIO()
    Image.fromarray(RAMP).save(jpeg, 'JPEG')
    frame = bytearray(jpeg.getvalue())
    place = frame.index(b'\xff\xc0') + 5
    frame[place : place + 4] = struct.pack('>2H', 60_000, 60_000)
    dataset = made(RAMP)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(UserError, match='bomb'):
        decode(file(dataset))


def test_damage_never_escapes_as_another_error() -> None:
    rng = np.random.default_rng(0)
    window = made(WIDE, BitsStored=12, WindowCenter=1000, WindowWidth=500)
    packed = made(WIDE)
    packed.compress(RLELossless)
    for whole in (file(window), file(packed)):
        for _ in range(100):
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[132 + rng.integers(0, len(damaged) - 132, 4)] = rng.integers(0, 256, 4)
            with contextlib.suppress(UserError):
                assert decode(damaged.tobytes()).dtype == np.uint8


@pytest.mark.filterwarnings('ignore')
def test_a_run_that_is_too_long_is_damage() -> None:
    """pylibjpeg-rle, in Rust, panics at some, with what is no Exception."""
    packed = made(WIDE)
    packed.compress(RLELossless)
    whole = file(packed)
    for place in range(len(whole) - len(packed.PixelData), len(whole)):
        damaged = bytearray(whole)
        damaged[place] = 200
        with contextlib.suppress(UserError):
            assert decode(bytes(damaged)).dtype == np.uint8
