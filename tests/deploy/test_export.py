"""Exported files: the run's probabilities, in processes that know nothing of this package."""

import functools
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pneumo_jax import cli, config, doors, errors, fields, models, run, runtime, trained
from pneumo_jax.data import images
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.deploy import export, export_onnx, staging
from pneumo_jax.evaluation import metrics

ROOT = pathlib.Path(__file__).parent.parent.parent
# Every architecture with all its kinds of layers, and few of each.
SMALL: dict[str, dict[str, Any]] = {
    'mlp': {},
    'cnn': {'kernel': 5},
    'cnn_bn_dropout': {'features': (4, 8)},
    'resnet8': {'widths': (8, 16), 'excite': True},
    'resnet18': {'blocks': (1, 1), 'width': 8},
    'resnet50': {'blocks': (1, 1), 'width': 8},
    'se_resnet18': {'blocks': (1, 1), 'width': 8},
    'se_resnet50': {'blocks': (1, 1), 'width': 8},
    'densenet121': {'blocks': (1, 1, 1), 'growth': 8},
    'convnext_tiny': {'blocks': (1, 1), 'dims': (8, 16)},
    'vit': {'patch': 8, 'width': 16, 'depth': 2, 'heads': 2},
}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), np.uint8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A finished run of two seeds, with its files."""
    folder = tmp_path_factory.mktemp('export') / 'run'
    run.run(config.load(f'{ROOT}/configs/cnn.py:smoke', {'seeds': '2', 'views': 'flip'}), folder)
    return folder


@pytest.fixture(scope='module')
def exported(folder: pathlib.Path) -> dict[str, Any]:
    pytest.importorskip('jax2onnx')
    return export.export(trained.load(folder), tuple(export.FORMATS), folder / 'export')


def untrained(name: str, views: str = '', *, standardise: bool = False) -> trained.Trained:
    """A model whose every weight and statistic says something."""
    model = models.create(name, num_classes=2, **SMALL[name])
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    rng = np.random.default_rng(0)

    def drawn(leaf: Any) -> np.ndarray:
        values = rng.normal(0, 0.1, leaf.shape).astype(np.float32)
        return values if leaf.ndim > 1 else abs(values) + 0.5

    variables = jax.tree.map(drawn, shapes)
    preprocess = Preprocess(28, 28, 1, standardise=standardise)
    record = {'config': {'seeds': 1, 'seed': 0, 'model': {'name': name, 'dtype': 'float32'}}}
    member = trained.Member(model, preprocess, views, variables)
    return trained.Trained((), (record,), ('Normal', 'Pneumonia'), preprocess, (member,))


def consume(place: pathlib.Path, example: str, *arguments: object) -> str:
    """What an example prints, in a process that cannot import this package."""
    hide = "import sys, runpy; sys.modules['pneumo_jax'] = None; del sys.argv[0]; "
    hide += f'sys.path.insert(0, {str(place)!r}); '
    hide += "runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, '-I', '-c', hide, place / example, *map(str, arguments)],
        env={name: value for name, value in os.environ.items() if name != 'PYTHONPATH'},
        cwd=place.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize('example', ['use_stablehlo.py', 'use_onnx.py'])
def test_a_process_without_this_package_gets_the_probabilities(
    exported: Any, folder: pathlib.Path, tmp_path: pathlib.Path, example: str
) -> None:
    loaded = trained.load(folder)
    height, width, _ = loaded.preprocess.image_shape
    images = np.random.default_rng(1).integers(0, 256, (3, height, width, 1), np.uint8)
    paths = [tmp_path / f'{i}.png' for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image[..., 0]).save(path)
    wide = np.pad(images[1, ..., 0], ((0, 0), (3, 4))).astype(np.uint16) * 257
    Image.fromarray(wide).save(paths[1])
    turned = Image.fromarray(np.rot90(images[2, ..., 0]))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned by a quarter clockwise
    turned.save(paths[2], exif=exif)
    told = consume(folder / 'export', example, *paths)
    names, _, numbers = told.partition('\n')
    found = np.array(re.findall(r'[\d.]+(?:e-\d+)?', numbers), float).reshape(3, 2)
    assert 'Pneumonia' in names
    np.testing.assert_allclose(found, metrics.softmax(loaded.logits(images)), atol=1e-4)


def test_the_weights_say_what_they_are(exported: Any, folder: pathlib.Path) -> None:
    told = consume(folder / 'export', 'use_weights.py')
    assert 'model-0.safetensors' in told and 'model-1.safetensors' in told
    assert 'params/conv1/kernel' in told and "['Normal', 'Pneumonia']" in told
    assert json.loads((folder / 'export' / 'export.json').read_text()) == exported
    assert (
        exported['checked_on'].endswith('images of synthetic phantoms 28 px')
        or exported['checked_on']
    )
    assert exported['files']['model.onnx']['opset'] == export_onnx.OPSET
    assert all(file['largest_difference'] < 1e-4 for file in exported['files'].values())


@pytest.mark.parametrize('example', [examples[0] for _, examples in export.FORMATS.values()])
def test_an_example_is_twenty_lines(example: str) -> None:
    assert len((staging.CONSUMERS / example).read_text().splitlines()) <= 20


def test_every_architecture_is_tried() -> None:
    assert set(SMALL) == set(fields.MODELS)


@pytest.mark.parametrize(('name', 'views'), [*((name, '') for name in SMALL), ('mlp', 'flip_crop')])
def test_onnx_agrees(name: str, views: str, tmp_path: pathlib.Path) -> None:
    pytest.importorskip('jax2onnx')
    loaded = untrained(name, views, standardise=name == 'resnet8')
    program, path = export.program(loaded), tmp_path / 'model.onnx'
    export_onnx.write(program, (28, 28, 1), {'classes': loaded.classes}, path)
    expected = np.asarray(jax.jit(program)(IMAGES))
    assert 0.01 < expected[:, 1].mean() < 0.99
    np.testing.assert_allclose(export_onnx.run(path, IMAGES), expected, atol=1e-4)
    np.testing.assert_allclose(export_onnx.run(path, IMAGES[:2]), expected[:2], atol=1e-4)
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(loaded.members[0].variables))
    assert path.stat().st_size < weights + 150_000, 'the weights once, whatever the views'


def reader() -> Any:
    """The module that lies beside exported models."""
    return runpy.run_path(str(staging.CONSUMERS / 'read_images.py'))['read']


@pytest.mark.parametrize('shape', [(28, 28, 1), (28, 28, 3), (28, 20, 1)])
def test_images_are_read_as_predict_reads_them(
    shape: tuple[int, int, int], tmp_path: pathlib.Path
) -> None:
    """The same pixels, or refused by both: colour is asked of what the model is shown."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (40, 90), np.uint8)
    colour = np.stack([gray] * 3, -1)
    beside, within = colour.copy(), colour.copy()
    beside[:, :20, 0], within[:, 30:60, 0] = 255, 0
    exact = rng.integers(0, 256, (28, 20), np.uint8)
    pictures = {'gray': gray, 'colour': colour, 'beside': beside, 'within': within, 'exact': exact}
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f'{name}.png')
    frames = [Image.fromarray(frame) for frame in (gray, 255 - gray)]
    frames[0].save(tmp_path / 'moving.png', save_all=True, append_images=frames[1:])
    read, given = reader(), 0
    for path in sorted(tmp_path.iterdir()):
        try:
            wanted = images.read(path, shape)
        except errors.UserError:
            with pytest.raises(SystemExit):
                read([str(path)], shape)
        else:
            np.testing.assert_array_equal(read([str(path)], shape), wanted[None])
            given += 1
    assert given == {(28, 28, 1): 4, (28, 28, 3): 5, (28, 20, 1): 1}[shape]


def test_an_export_leaves_nothing_of_the_one_before_it(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    both, one = trained.load(folder), trained.load(folder / 'seed-0')
    export.export(both, ['safetensors'], tmp_path)
    (tmp_path / 'model.onnx').touch()
    mine = {'mine.onnx', 'use_mine.py'}
    for name in mine:
        (tmp_path / name).touch()
    export.export(one, ['safetensors'], tmp_path)
    found = {path.name for path in tmp_path.iterdir()}
    assert found == mine | {'model.safetensors', 'use_weights.py', 'export.json'}


@pytest.mark.parametrize('place', ['', 'seed-0'])
def test_an_export_does_not_touch_the_weights_of_a_run(folder: pathlib.Path, place: str) -> None:
    before = {path: path.read_bytes() for path in folder.rglob('model.safetensors')}
    with pytest.raises(errors.UserError, match='holds a run'):
        export.export(trained.load(folder), ['stablehlo'], folder / place)
    assert {path: path.read_bytes() for path in folder.rglob('model.safetensors')} == before


def test_nothing_is_written_where_a_file_disagrees(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, 'LIMITS', {'float32': -1.0})
    with pytest.raises(errors.UserError, match=r'model.stablehlo was not written'):
        export.export(trained.load(folder), ['safetensors', 'stablehlo'], tmp_path / 'out')
    assert not list(tmp_path.iterdir())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_onnx, 'installed', lambda: False)
    assert export.available() == ('stablehlo', 'safetensors')
    with pytest.raises(errors.UserError, match=r"pip install 'pneumo_jax\[onnx\]'"):
        export.check('onnx')


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['NOTHING'], 'is no run folder'),
        (['RUN', '--format', 'onxx'], "did you mean 'onnx'"),
        (['RUN', '--fromat', 'onnx'], '--format'),
        (['RUN', '--format', 'safetensors', '--out', 'RUN/run.json/here'], 'cannot write to'),
    ],
)
def test_mistakes_are_one_line(
    folder: pathlib.Path,
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runtime, 'start', lambda: None)
    given = [argument.replace('RUN', str(folder)) for argument in arguments]
    assert doors.enter(cli.main, ['export', *given]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[-1] and lines[-1].startswith('error: ')
