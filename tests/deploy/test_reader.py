"""Finding image files, reading them for a model, and in bounded memory."""

import os
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.deploy import reader, walk
from pneumo_jax.errors import UserError

GRAY = Preprocess(28, 28, 1)
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
