"""Finished runs with their reports, made once."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import canvas, config, run
from pneumo_jax.reporting import report

ROOT = pathlib.Path(__file__).parent.parent.parent
NAMES = ('<img src=x onerror=y>', 'a|b *c*', 'plain')  # of folders, and so of classes


def pictures(folder: pathlib.Path) -> pathlib.Path:
    """Three splits of three classes, each of another grey, which a net cannot always tell."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 12), ('val', 6), ('test', 6)):
        for label, name in enumerate(NAMES):
            place = folder / split / name
            place.mkdir(parents=True)
            for i in range(count):
                image = rng.normal(110 + 15 * label, 40, (16, 16)).clip(0, 255).astype(np.uint8)
                Image.fromarray(image).save(place / f'{i}.png')
    return folder


def blank(figure: object, path: pathlib.Path) -> None:
    """In place of `canvas.save`, which takes most of a report's time."""
    if path.suffix == '.svg':
        path.write_text('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')
    else:
        Image.new('L', (2, 2)).save(path, 'png')


@pytest.fixture(scope='session')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """'one' of one seed, 'several' of two, 'classes' of three classes; reports of all."""
    folder = tmp_path_factory.mktemp('reporting')
    own = {'data.path': str(pictures(folder / 'pictures')), 'data.size': '16', 'epochs': '1'}
    short = {'epochs': '1'}
    run.run(config.load(f'{ROOT}/configs/mlp.py:smoke', short), folder / 'one')
    run.run(
        config.load(f'{ROOT}/configs/mlp.py:smoke', {**short, 'seeds': '2'}), folder / 'several'
    )
    run.run(config.load(f'{ROOT}/configs/mlp.py:smoke', own), folder / 'classes')
    report.write([folder / 'classes'], folder / 'classes/report')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, 'save', blank)
        for name in ('one', 'several'):
            report.write([folder / name], folder / name / 'report')
    return folder
