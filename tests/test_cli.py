import pathlib
from typing import Any

import numpy as np
import pytest

from pneumo_jax import cli, doors

CLI = 'pneumo_jax'


def test_data_prints_counts_and_draws_the_figure(tmp_path: pathlib.Path, door: Any) -> None:
    figure = tmp_path / 'figure.png'
    told = door(CLI, 'data', '--config', 'configs/cnn.py:smoke', '--out', figure)
    assert told.returncode == 0, told.stderr
    assert 'Pneumonia' in told.stdout
    assert 'synthetic' in told.stdout
    assert figure.read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    ('out', 'told'),
    [
        ('sheet.xyz', 'must end with .png'),
        ('/dev/null/sheet.png', 'cannot be written'),
        ('/proc/sheet.png', 'cannot be written'),
    ],
)
def test_a_figure_that_cannot_be(out: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ['data', '--config', 'configs/cnn.py:smoke', '--out', out]
    assert doors.enter(cli.main, command) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize('originals', ['', 'large'])
def test_what_augmentation_makes_of_some_images(
    originals: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {f'{split}_labels': np.arange(20) % 2 for split in ('train', 'val', 'test')}
    images = np.random.default_rng(0).integers(0, 256, (20, 14, 14), np.uint8)
    for name, times in (('small', 1), ('large', 3)):
        sized = images.repeat(times, 1).repeat(times, 2)
        splits = {f'{split}_images': sized for split in ('train', 'val', 'test')}
        np.savez(tmp_path / f'{name}.npz', **arrays, **splits)
    figure, page = tmp_path / 'sheet.png', ['--config', 'configs/best.py:28']
    page += [f'--config.data.path={tmp_path}/small.npz', '--config.data.size=0']
    if originals:
        page += [f'--config.originals={tmp_path}/large.npz']
    assert doors.enter(cli.main, ['data', *page, '--augmented', '--out', str(figure)]) == 0
    assert 'small.npz 14 px' in capsys.readouterr().out
    assert figure.read_bytes().startswith(b'\x89PNG')


def test_data_counts_the_official_file(
    tmp_path: pathlib.Path, door: Any, real_data: pathlib.Path
) -> None:
    figure = tmp_path / 'figure.png'
    told = door(CLI, 'data', '--config', 'configs/cnn.py:28', '--out', figure)
    assert told.returncode == 0, told.stderr
    assert '4,708' in told.stdout
    assert '74.2%' in told.stdout


def test_a_verb_that_is_not_there(door: Any) -> None:
    told = door(CLI, 'dta')
    assert told.returncode == 2
    assert told.stderr.count('\n') == 1
    assert "'dta'" in told.stderr


def test_help_names_every_verb(door: Any) -> None:
    told = door(CLI, '--help')
    assert told.returncode == 0
    assert 'data' in told.stdout
