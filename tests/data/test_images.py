"""Real image files of every kind that a radiograph comes in."""

import contextlib
import io
import pathlib
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pneumo_jax.data import images
from pneumo_jax.data.images import decode, square
from pneumo_jax.errors import UserError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
GRAY, COLOUR = (28, 28, 1), (28, 28, 3)


def file(image: Image.Image, kind: str = 'PNG', **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGB', 'RGBA', 'P'])
def test_gray_in_any_mode_gives_one_channel(mode: str) -> None:
    pixels = decode(file(Image.fromarray(RAMP).convert(mode)))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, RAMP[..., None])


def test_black_and_white_becomes_0_and_255() -> None:
    pixels = decode(file(Image.fromarray(RAMP).convert('1', dither=Image.Dither.NONE)))
    assert np.array_equal(pixels[..., 0], np.where(RAMP < 128, 0, 255))


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colour_gives_three_channels(mode: str) -> None:
    colour = np.zeros((4, 6, 3), np.uint8)
    colour[..., 0], colour[:2, :, 2] = 255, 255
    pixels = decode(file(Image.fromarray(colour).convert(mode)))
    assert np.array_equal(pixels, colour)


def test_sixteen_bits_are_scaled_and_rounded() -> None:
    wide = np.array([[0, 128, 129, 257], [32768, 65278, 65407, 65535]], np.uint16)
    pixels = decode(file(Image.fromarray(wide)))
    assert pixels[..., 0].tolist() == [[0, 0, 1, 1], [128, 254, 255, 255]]


def test_jpegs_gray_and_cmyk() -> None:
    gray = Image.fromarray(RAMP).resize((64, 64), Image.Resampling.BILINEAR)
    close = decode(file(gray, 'JPEG', quality=95)).astype(int) - np.asarray(gray)[..., None]
    assert abs(close).max() < 8
    assert decode(file(Image.new('CMYK', (8, 8), (0, 200, 0, 0)), 'JPEG')).shape == (8, 8, 3)


def test_exif_orientation_is_applied() -> None:
    picture = Image.fromarray(RAMP[:8])  # 8 high, 16 wide
    exif = picture.getexif()
    exif[0x0112] = 6  # turned a quarter to the left: to be shown turned to the right
    assert np.array_equal(decode(file(picture, exif=exif))[..., 0], np.rot90(RAMP[:8], -1))


def test_a_path_is_read_and_named_in_the_error(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'x.png'
    path.write_bytes(file(Image.fromarray(RAMP)))
    assert decode(path).shape == (16, 16, 1)
    path.write_bytes(b'no image')
    with pytest.raises(UserError, match=r'x\.png cannot be read'):
        decode(path)
    with pytest.raises(UserError, match='absent'):
        decode(tmp_path / 'absent.png')


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF'])
def test_a_truncated_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    whole = file(Image.fromarray(noise), kind)
    for part in (0, 1, 20, len(whole) // 2, len(whole) * 9 // 10):
        with pytest.raises(UserError, match='the image cannot be read'):
            decode(whole[:part])


def test_damage_never_escapes_as_another_error() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (24, 24), np.uint8))
    kinds = [file(noise, kind) for kind in ('PNG', 'JPEG', 'TIFF')]
    for whole in (*kinds, file(noise.convert('P'))):
        for _ in range(100):
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[rng.integers(0, len(damaged), 4)] = rng.integers(0, 256, 4)
            with contextlib.suppress(UserError):
                assert decode(damaged.tobytes()).dtype == np.uint8


def test_other_formats_are_refused_whatever_their_name(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'x.jpeg'
    Image.fromarray(RAMP).save(path, 'BMP')
    with pytest.raises(UserError, match='JPEG, PNG, TIFF or DICOM image: it is none'):
        decode(path)
    path.write_bytes(pickle.dumps({'weights': 1}))
    with pytest.raises(UserError, match='it is none'):
        decode(path)


@pytest.mark.parametrize('compression', ['raw', 'tiff_lzw', 'tiff_adobe_deflate'])
def test_tiff_of_8_and_16_bits_gray_and_colour(compression: str) -> None:
    options = {'compression': compression}
    assert np.array_equal(decode(file(Image.fromarray(RAMP), 'TIFF', **options))[..., 0], RAMP)
    wide = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    pixels = decode(file(Image.fromarray(wide), 'TIFF', **options))
    assert np.array_equal(pixels[..., 0], np.rint(wide / 257))
    colour = np.stack([RAMP, 255 - RAMP, RAMP // 2], -1)
    assert np.array_equal(decode(file(Image.fromarray(colour), 'TIFF', **options)), colour)


@pytest.mark.parametrize('kind', [np.uint8, np.uint16])
def test_a_tiff_where_white_is_zero_is_turned_around(kind: type[np.unsignedinteger]) -> None:
    values = RAMP.astype(kind) * (257 if kind is np.uint16 else 1)
    content = bytearray(file(Image.fromarray(values), 'TIFF'))
    tag = struct.pack('<HHI', 262, 3, 1)  # PhotometricInterpretation, a short: 1, black is zero
    assert content.count(tag + b'\1') == 1
    content[content.index(tag) + 8] = 0
    assert np.array_equal(decode(bytes(content))[..., 0], 255 - RAMP)


def test_a_tiff_is_turned_upright_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = file(Image.fromarray(RAMP[:8]), 'TIFF', exif=exif)
    assert np.array_equal(decode(content)[..., 0], np.rot90(RAMP[:8], -1))


def test_tiffs_that_are_no_single_image_of_up_to_16_bits_are_refused() -> None:
    picture = Image.fromarray(RAMP)
    pages = file(picture, 'TIFF', save_all=True, append_images=[picture])
    with pytest.raises(UserError, match='2 pages'):
        decode(pages)
    with pytest.raises(UserError, match='fraction'):
        decode(file(Image.fromarray(RAMP / np.float32(255)), 'TIFF'))
    with pytest.raises(UserError, match='from -1 to 65536'):
        decode(file(Image.fromarray(np.array([[-1, 65536]], np.int32)), 'TIFF'))


def test_transparency_is_dropped() -> None:
    faint = np.stack([RAMP, RAMP, RAMP, RAMP], -1)
    assert np.array_equal(decode(file(Image.fromarray(faint)))[..., 0], RAMP)


@pytest.mark.filterwarnings('ignore:Image size')
@pytest.mark.parametrize('side', [20000, 10000])  # 400 and 100 Mpx
def test_a_decompression_bomb_is_refused(side: int) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        )

    header = struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    bomb = (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')
    )
    with pytest.raises(UserError, match='bomb'):
        decode(bomb)


def test_square_crops_the_centre() -> None:
    wide = np.zeros((10, 30, 1), np.uint8)
    wide[:, 10:20] = 200
    for image in (wide, wide.transpose(1, 0, 2)):
        for size in (10, 5):
            np.testing.assert_array_equal(square(image, size), np.full((size, size, 1), 200))


def test_square_is_pillows_bilinear_filter() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    official = Image.fromarray(image[5:45]).resize((28, 28), Image.Resampling.BILINEAR)
    assert np.array_equal(square(image, 28), np.asarray(official))
    assert square(image[..., :1], 64).shape == (64, 64, 1)


def draw(path: pathlib.Path, pixels: np.ndarray = NOISE) -> pathlib.Path:
    Image.fromarray(pixels).save(path)
    return path


def test_channels_become_those_of_the_model(tmp_path: pathlib.Path) -> None:
    gray = draw(tmp_path / 'gray.png')
    one, three = images.read(gray, GRAY), images.read(gray, COLOUR)
    assert np.array_equal(one, images.square(NOISE[..., None], 28))
    assert three.shape == (28, 28, 3) and (three == one).all()
    tinted = np.stack([NOISE, NOISE, np.minimum(NOISE, 250) + 5], -1).astype(np.uint8)
    luminance = images.read(draw(tmp_path / 'tinted.png', tinted), GRAY)
    assert luminance.shape == (28, 28, 1) and abs(luminance.astype(int) - one).max() <= 1
    colour = draw(tmp_path / 'colour.png', np.stack([NOISE, NOISE, 255 - NOISE], -1))
    assert images.read(colour, COLOUR).shape == (28, 28, 3)
    with pytest.raises(UserError, match=r'colour\.png is in colour, 3 channels; .* takes 1'):
        images.read(colour, GRAY)


def test_a_model_of_other_shapes_than_squares_takes_its_own(tmp_path: pathlib.Path) -> None:
    wide = (28, 40, 1)
    own = draw(tmp_path / 'own.png', NOISE[:28, :40])
    assert np.array_equal(images.read(own, wide)[..., 0], NOISE[:28, :40])
    with pytest.raises(UserError, match=r'28 x 28 pixels; this model takes 40 x 28, and only sq'):
        images.read(draw(tmp_path / 'other.png', NOISE[:28, :28]), wide)


def test_an_image_that_shows_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match='1 x 1 pixels; at least 16 x 16'):
        images.read(draw(tmp_path / 'dot.png', NOISE[:1, :1]), GRAY)
