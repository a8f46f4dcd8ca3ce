"""Finding image files, reading them for a model, and in bounded memory."""

import os
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumo_jax.data import images
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.deploy import reader, walk
from pneumo_jax.errors import UserError

GRAY, COLOUR = Preprocess(28, 28, 1), Preprocess(28, 28, 3)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)


def draw(path: pathlib.Path, pixels: np.ndarray = NOISE) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_what_counts_as_an_image_in_a_folder(tmp_path: pathlib.Path) -> None:
    for name in ('b/2.PNG', 'b/1.jpg', 'a.tiff', '.hidden.png', '__MACOSX/c.png'):
        draw(tmp_path / name)
    (tmp_path / 'IM0001').write_bytes(bytes(128) + b'DICM')
    (tmp_path / 'DICOMDIR').write_bytes(bytes(128) + b'DICM')
    (tmp_path / 'notes.txt').write_text('no image')
    os.mkfifo(tmp_path / 'pipe.png')
    found = walk.find([tmp_path, tmp_path / 'a.tiff'])
    names = [str(file.path.relative_to(tmp_path)) for file in found]
    assert names == ['IM0001', 'a.tiff', 'b/1.jpg', 'b/2.PNG']
    assert not any(file.named for file in found)
    assert walk.find([tmp_path / 'notes.txt'])[0].named  # what is asked for is tried


def test_a_folder_that_cannot_be_opened_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / 'a.png')
    draw(tmp_path / 'shut/b.png')
    scandir = os.scandir

    def refused(path: str) -> Any:  # root, as in containers, may open every folder
        if pathlib.Path(path).name == 'shut':
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refused)
    (batch,) = reader.stream(walk.find([tmp_path]), GRAY, 4)
    assert [file.path.name for file, _ in batch] == ['a.png', 'shut']
    assert isinstance(batch[1][1], UserError) and 'shut cannot be read' in str(batch[1][1])
    with pytest.raises(UserError, match='cannot be read: File name too long'):
        walk.find([tmp_path / ('x' * 300)])


def test_nothing_to_predict(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'notes.txt').write_text('no image')
    with pytest.raises(UserError, match='no images in this folder'):
        walk.find([tmp_path])
    with pytest.raises(UserError, match='no such file'):
        walk.find([tmp_path / 'absent'])


def test_channels_become_those_of_the_model(tmp_path: pathlib.Path) -> None:
    gray = draw(tmp_path / 'gray.png')
    one, three = reader.read(gray, GRAY), reader.read(gray, COLOUR)
    assert np.array_equal(one, images.square(NOISE[..., None], 28))
    assert three.shape == (28, 28, 3) and (three == one).all()
    tinted = np.stack([NOISE, NOISE, np.minimum(NOISE, 250) + 5], -1).astype(np.uint8)
    luminance = reader.read(draw(tmp_path / 'tinted.png', tinted), GRAY)
    assert luminance.shape == (28, 28, 1) and abs(luminance.astype(int) - one).max() <= 1
    colour = draw(tmp_path / 'colour.png', np.stack([NOISE, NOISE, 255 - NOISE], -1))
    assert reader.read(colour, COLOUR).shape == (28, 28, 3)
    with pytest.raises(UserError, match=r'colour\.png is in colour, 3 channels; .* takes 1'):
        reader.read(colour, GRAY)


def test_a_model_of_other_shapes_than_squares_takes_its_own(tmp_path: pathlib.Path) -> None:
    wide = Preprocess(28, 40, 1)
    own = draw(tmp_path / 'own.png', NOISE[:28, :40])
    assert np.array_equal(reader.read(own, wide)[..., 0], NOISE[:28, :40])
    with pytest.raises(UserError, match=r'28 x 28 pixels; this model takes 40 x 28, and only sq'):
        reader.read(draw(tmp_path / 'other.png', NOISE[:28, :28]), wide)


def test_an_image_that_shows_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match='1 x 1 pixels; at least 16 x 16'):
        reader.read(draw(tmp_path / 'dot.png', NOISE[:1, :1]), GRAY)


def test_a_stream_keeps_order_and_goes_on_after_what_cannot_be_read(
    tmp_path: pathlib.Path,
) -> None:
    for i in range(23):
        draw(tmp_path / f'{i:02d}.png', np.full((30, 30), i, np.uint8))
    (tmp_path / '07.png').write_bytes(pickle.dumps('no image'))
    batches = list(reader.stream(walk.find([tmp_path]), GRAY, 5))
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
    for i, (file, image) in enumerate(pair for batch in batches for pair in batch):
        assert file.path.name == f'{i:02d}.png'
        assert isinstance(image, UserError) if i == 7 else (image == i).all()


def test_a_stream_is_only_so_far_ahead(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[pathlib.Path] = []

    def load(path: pathlib.Path, preprocess: Preprocess) -> np.ndarray:
        read.append(path)
        return np.zeros((28, 28, 1), np.uint8)

    monkeypatch.setattr(reader, '_load', load)
    files = [walk.File(tmp_path / f'{i}.png', 1, 1, False) for i in range(100)]
    for taken, _ in enumerate(reader.stream(files, GRAY, 4), 1):
        assert len(read) <= 4 * (taken + reader.AHEAD)
    assert len(read) == 100
