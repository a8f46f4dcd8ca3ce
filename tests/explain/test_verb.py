"""The verb `explain`, from files to figures."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import cli, config, doors, run, runtime

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp('explain') / 'run'
    run.run(config.load(f'{ROOT}/configs/mlp.py:smoke'), folder)
    return folder


@pytest.fixture
def images(tmp_path: pathlib.Path) -> list[str]:
    """Two gray images and one in colour."""
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(40, 50), (40, 40), (40, 40, 3)]):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / f'{i}.png')
    return [str(tmp_path / f'{i}.png') for i in range(3)]


@pytest.fixture(autouse=True)
def as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, 'start', lambda: None)


def test_figures_and_scores(
    folder: pathlib.Path, images: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doors.enter(cli.main, ['explain', str(folder), *images[:2], '--compare']) == 0
    told, out = capsys.readouterr().out, folder / 'explain'
    for name in ('0_integrated', '1_integrated', 'contact_sheet_integrated'):
        assert (out / f'{name}.png').read_bytes().startswith(b'\x89PNG')
        assert f'{name}.png' in told
    found = json.loads((out / 'faithfulness.json').read_text())
    assert found['images'] == 2
    assert list(found['methods']) == ['integrated', 'occlusion', 'random pixels', 'random patches']
    for mean, low, high in (areas['deletion'] for areas in found['methods'].values()):
        assert 0 <= low <= mean <= high <= 1
    assert '| random patches | ' in told


def test_every_image_has_a_figure_whatever_its_name(
    folder: pathlib.Path,
    images: list[str],
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = ['contact_sheet.png', f'{"x" * 240}.png', f'{"x" * 241}.png', 'bytes\udcff.png']
    given = [tmp_path / name for name in odd]
    for path in given:
        shutil.copy(images[0], path)
    out = tmp_path / 'out'
    arguments = ['explain', folder, *given, '--method', 'integrated', '--out', out]
    assert doors.enter(cli.main, [*map(str, arguments)]) == 0
    assert len({*out.iterdir()}) == len(odd) + 1
    assert 'contact_sheet_of_all_integrated.png' in capsys.readouterr().out
    (out / 'faithfulness.json').mkdir()
    assert doors.enter(cli.main, [*map(str, arguments), '--compare']) == 2
    assert 'cannot write to' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['0.png', '2.png'], 'in colour'),
        (['0.png', 'none.png'], 'none.png cannot be read'),
        (['0.png', '--method', 'gradcam'], 'Allowed: integrated, occlusion'),
        (['0.png', '--target', 'Pneumoni'], "did you mean 'Pneumonia'"),
        (['0.png', '--traget', 'Normal'], "did you mean '--target'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    folder: pathlib.Path,
    images: list[str],
    arguments: list[str],
    told: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(tmp_path / name) if name.endswith('.png') else name for name in arguments]
    out = tmp_path / 'out'
    assert doors.enter(cli.main, ['explain', str(folder), *given, '--out', str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not out.exists()
