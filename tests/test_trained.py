"""Finished runs, loaded: the same logits as when they were scored, alone and together."""

import json
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from pneumo_jax import config, data, errors, run, trained
from pneumo_jax.evaluation import metrics

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp('trained')
    page = f'{ROOT}/configs/best.py:smoke'
    run.run(config.load(page), folder / 'one')
    run.run(config.load(page, {'seeds': '2', 'views': 'flip'}), folder / 'two')
    return folder


@pytest.mark.parametrize('name', ['one', 'two', 'two/seed-1'])
def test_a_run_gives_the_logits_it_was_scored_with(folder: pathlib.Path, name: str) -> None:
    loaded = trained.load(folder / name)
    record = loaded.records[0]
    images = data.load(**record['config']['data']).test.images
    (stored,), labels = trained.predictions([folder / name], 'test')
    np.testing.assert_allclose(loaded.logits(images), stored, atol=1e-5)
    assert len(labels) == len(images)
    assert loaded.classes == ('Normal', 'Pneumonia')
    assert len(loaded.members) == (2 if name == 'two' else 1)


def test_several_runs_are_an_ensemble(folder: pathlib.Path) -> None:
    seeds = [folder / 'two/seed-0', folder / 'two/seed-1']
    images = data.load(**trained.load(seeds[0]).records[0]['config']['data']).val.images
    both = trained.load(*seeds)
    each = [metrics.softmax(trained.load(seed).logits(images)) for seed in seeds]
    np.testing.assert_allclose(metrics.softmax(both.logits(images)), np.mean(each, 0), atol=1e-6)
    assert both.title == 'resnet8, ensemble of 2'


def rename_classes(path: pathlib.Path, names: list[Any]) -> None:
    """As a file from elsewhere may say."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], 'little')
    header = json.loads(content[8 : 8 + size])
    header['__metadata__']['classes'] = json.dumps(names)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, 'little') + text + content[8 + size :])


def test_what_cannot_be_loaded_is_told(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UserError, match='no run folder'):
        trained.load(tmp_path)
    for twice in ('two', 'two/seed-1', 'one/../two/seed-0'):
        with pytest.raises(errors.UserError, match='a model is named twice'):
            trained.load(folder / 'two', folder / twice)
    shutil.copytree(folder / 'one', tmp_path / 'run')
    (tmp_path / 'run/results.json').unlink()
    with pytest.raises(errors.UserError, match='not finished'):
        trained.load(tmp_path / 'run')
    shutil.copytree(folder / 'one', tmp_path / 'other')
    path = tmp_path / 'other/model.safetensors'
    rename_classes(path, ['a', 'b'])
    with pytest.raises(errors.UserError, match='no ensemble: classes'):
        trained.load(folder / 'one', tmp_path / 'other')
    for name in ('\x1b[2J', '\ud800', '', 3):
        rename_classes(path, ['a', name])
        with pytest.raises(errors.UserError, match=r'is damaged .*no class can be called'):
            trained.load(tmp_path / 'other')
    path.unlink()
    with pytest.raises(errors.UserError, match='cannot be read'):
        trained.load(tmp_path / 'other')
