"""The verb `predict`: what it says, skips, refuses, and how little memory it takes."""

import csv
import dataclasses
import json
import pathlib
import pickle
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import cli, config, doors, explain, models, runtime, trained, weights
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.deploy import heatmaps, predict, predictor, screen, walk
from pneumo_jax.errors import UserError
from pneumo_jax.evaluation import fitted, metrics, ood

ROOT = pathlib.Path(__file__).parent.parent.parent
CLASSES = ('Normal', 'Pneumonia')
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 28, 28, 1), np.uint8)


def made(folder: pathlib.Path, seed: int, channels: int = 1, page: str = 'mlp') -> pathlib.Path:
    """A run folder as a finished run of an MLP leaves it, without the training."""
    import jax

    own = config.to_json(config.load(f'{ROOT}/configs/{page}.py:28', {'seed': str(seed)}))
    preprocess = Preprocess(28, 28, channels)
    model = models.create(**own['model'], num_classes=2)
    blank = np.zeros((1, 28, 28, channels), np.float32)
    variables = jax.tree.map(np.asarray, model.init(jax.random.key(seed), blank, train=False))
    meta = {'model': own['model'], 'classes': CLASSES, 'views': ''}
    folder.mkdir()
    weights.save(
        folder / 'model.safetensors',
        variables,
        {**meta, 'preprocess': dataclasses.asdict(preprocess)},
    )
    for name, value in {'run': {'config': own, 'origin': {'command': '?'}}, 'results': {}}.items():
        (folder / f'{name}.json').write_text(json.dumps(value))
    labels = np.arange(8) // 6  # a quarter is ill
    np.savez(folder / 'predictions_val.npz', logits=np.zeros((8, 2)), labels=labels)
    return folder


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    folder = tmp_path_factory.mktemp('runs')
    return made(folder / 'one', 1), made(folder / 'two', 2)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image[..., 0]).save(folder / f'{i}.png')
    return folder


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    if path.suffix == '.csv':
        with path.open(newline='') as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize('batch_size', [1, 4, 128])
@pytest.mark.parametrize('kind', ['csv', 'jsonl'])
def test_probabilities_are_those_of_the_run(
    runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path, batch_size: int, kind: str
) -> None:
    out = tmp_path / f'out.{kind}'
    outcome = predict.predict([runs[0]], [folder], out=out, batch_size=batch_size)
    assert outcome[:3] == (10, 0, []) and not outcome.calibrated
    rows = read(out)
    assert [pathlib.Path(row['file']).name for row in rows] == [f'{i}.png' for i in range(10)]
    expected = metrics.softmax(trained.load(runs[0]).logits(IMAGES))
    found = [[float(row['p_Normal']), float(row['p_Pneumonia'])] for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert [row['class'] for row in rows] == [CLASSES[i] for i in expected.argmax(1)]
    entropy = -(expected * np.log2(expected)).sum(1)
    np.testing.assert_allclose([float(row['entropy']) for row in rows], entropy, atol=1e-5)
    assert not rows[0]['set'] and not rows[0]['disagreement']


def test_an_ensemble_and_its_disagreement(
    runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    predict.predict(runs, [folder], out=tmp_path / 'out.jsonl')
    rows = read(tmp_path / 'out.jsonl')
    each = [metrics.softmax(trained.load(run).logits(IMAGES)) for run in runs]
    mean = np.mean(each, 0)
    np.testing.assert_allclose([row['p_Normal'] for row in rows], mean[:, 0], atol=1e-6)
    kl = np.mean([(one * np.log2(one / mean)).sum(1) for one in each], 0)
    np.testing.assert_allclose([row['disagreement'] for row in rows], kl, atol=1e-6)
    assert kl.max() > 1e-3


def fit(run: pathlib.Path) -> fitted.Fitted:
    part, loaded = Split(IMAGES, np.arange(10) % 2), trained.load(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ood, 'RATE', 0.9)
        noise = Dataset('noise', CLASSES, part, part, part)
        return fitted.fit(loaded, noise, loaded.logits(IMAGES), alpha=0.4)


def test_what_was_fitted_is_used(runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run = shutil.copytree(runs[0], tmp_path / 'run')
    own = fit(run)
    own.save(run)
    assert predict.predict([run], [folder], out=tmp_path / 'out.jsonl').calibrated
    rows = read(tmp_path / 'out.jsonl')
    expected = own.probabilities(trained.load(run).logits(IMAGES))
    np.testing.assert_allclose([row['p_Normal'] for row in rows], expected[:, 0], atol=1e-6)
    assert [tuple(row['set']) for row in rows] == own.sets(expected)
    assert [row['positive'] for row in rows] == (expected[:, 1] > own.threshold).tolist()
    assert [row['radiograph'] for row in rows] == own.is_radiograph(IMAGES).tolist()
    assert len({row['radiograph'] for row in rows}) == 2
    # Of an ensemble it says nothing, and a table is of one model only.
    with pytest.raises(UserError, match='another model'):
        predict.predict([run, runs[1]], [folder], out=tmp_path / 'out.jsonl')
    assert not predict.predict([run, runs[1]], [folder], out=tmp_path / 'both.csv').calibrated
    for other in (run, tmp_path / 'nowhere'):
        with pytest.raises(UserError, match=rf'--calibration {other}: holds no calibration.json'):
            predictor.load([run, runs[1]], calibration_of=other)


def test_another_prevalence_moves_the_odds(runs: Any) -> None:
    plain, rare = predictor.load([runs[0]]), predictor.load([runs[0]], prevalence=0.01)
    before, after = plain.rows(IMAGES, 10), rare.rows(IMAGES, 10)
    for old, new in zip(before, after, strict=True):
        ratio = (new['p_Pneumonia'] / new['p_Normal']) / (old['p_Pneumonia'] / old['p_Normal'])
        assert ratio == pytest.approx((0.01 / 0.25) / (0.99 / 0.75), rel=1e-4)
    assert plain.digest != rare.digest


def test_what_a_weighed_loss_has_moved_is_no_prevalence(runs: Any, tmp_path: pathlib.Path) -> None:
    """Its probabilities are corrected from what they speak for, not from val's shares."""
    run = tmp_path / 'weighed'
    shutil.copytree(runs[0], run)
    record = json.loads((run / 'run.json').read_text())
    record['config']['loss']['class_weights'] = True
    (run / 'run.json').write_text(json.dumps(record))
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.1).astype(np.int32)
    balanced = 2 * rng.normal(2.0 * labels - 1, 1)  # the log-odds of Bayes where half are ill
    logits = np.stack([np.zeros(4000), balanced], 1)
    np.savez(run / 'predictions_val.npz', logits=logits, labels=labels)
    given, wanted = predictor.load([run], prevalence=0.1).shares or (None, None)
    np.testing.assert_allclose(given, [0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(wanted, [0.9, 0.1])
    fewer = {'logits': logits[:, :1], 'labels': labels}
    np.savez(run / 'predictions_val.npz', **fewer)
    with pytest.raises(UserError, match='has not all of its classes and no others'):
        predictor.load([run], prevalence=0.1)


def test_a_second_run_skips_what_is_done(
    runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / 'out.csv'
    (folder / 'bad.png').write_bytes(pickle.dumps('no image'))
    first = predict.predict([runs[0]], [folder], out=out)
    assert first[:2] == (10, 0)
    assert 'bad.png cannot be read' in str(first.refused[0][1])
    Image.fromarray(IMAGES[0, ..., 0]).save(folder / 'bad.png')
    Image.fromarray(255 - IMAGES[3, ..., 0]).save(folder / '3.png', compress_level=0)
    assert predict.predict([runs[0]], [folder], out=out)[:3] == (2, 9, [])
    assert sorted(pathlib.Path(row['file']).stem for row in read(out)) == [*'0123456789', 'bad']
    assert predict.predict([runs[0]], [folder], out=out)[:3] == (0, 11, [])


def test_heat_maps(runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out, maps = tmp_path / 'out.csv', tmp_path / 'maps'
    predict.predict([runs[0]], [folder], out=out)
    assert predict.predict([runs[0]], [folder], out=out, maps=maps)[:2] == (10, 0)
    drawn = sorted(maps.rglob('*.png'))
    assert len(drawn) == len(read(out)) == 10
    assert str(drawn[3]).endswith('/images/3.png.png')
    with Image.open(drawn[3]) as picture:
        assert picture.size == (224, 224) and picture.mode == 'RGB'
    painter = heatmaps.Painter(predictor.load([runs[0]]).trained, maps)
    long = ['x/' + '\u3042' * 83 + f'{i}.png' for i in (1, 2)]
    paths = [pathlib.Path(path) for path in ('x/a.png', '../x/a.png', '/x/a.png', *long)]
    places = {painter.place(walk.File(path, 0, 0, named=True)) for path in paths}
    assert len(places) == 5 and all(place.is_relative_to(maps) for place in places)
    assert all(len(place.name.encode()) <= 204 for place in places)
    drawn[3].unlink()
    assert predict.predict([runs[0]], [folder], out=out, maps=maps)[:2] == (1, 9)
    with pytest.raises(UserError, match='taken for images'):
        predict.predict([runs[0]], [folder], maps=folder / 'maps')


def test_maps_of_a_mixed_ensemble_are_of_a_method_that_all_have(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = made(tmp_path / 'cnn', 3, page='cnn')
    both = trained.load(made(tmp_path / 'mlp', 1), other)
    asked: list[str] = []

    def heatmap(member: Any, images: np.ndarray, target: Any, method: str = '') -> np.ndarray:
        asked.append(method)
        return np.zeros(images.shape[:3])

    monkeypatch.setattr(explain, 'heatmap', heatmap)
    file = walk.find([folder / '0.png'])[0]
    heatmaps.Painter(both, tmp_path / 'maps').paint([file], IMAGES[:1], ['Normal'])
    assert asked == ['integrated', 'integrated']


def test_the_table_on_the_terminal(
    runs: Any, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / 'red\x1b[31m.png').write_bytes((folder / '0.png').read_bytes())
    predict.predict([runs[0]], [folder], batch_size=4)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ['file', 'class', 'P(Pneumonia)', 'set', 'entropy']
    assert len(lines) == 12 and '\x1b' not in ''.join(lines)
    file = walk.find([folder / '0.png'])[0]
    wide = screen.Screen([file], ('a', 'b', 'c'))
    row = {'file': 'x', 'class': 'c', 'p_c': 0.5, 'set': ['b', 'c'], 'entropy': 1.25}
    wide.add([{**row, 'radiograph': False}])
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        *'xc',
        '0.5000',
        'b',
        'or',
        'c',
        '1.25',
        'no',
        'radiograph?',
    ]


def test_the_door(runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path, door: Any) -> None:
    (folder / 'bad.png').write_bytes(b'no image')
    out = tmp_path / 'out.csv'
    told = door('pneumo_jax', 'predict', runs[0], folder, '--out', out)
    assert told.returncode == 0, told.stderr
    assert f'10 images predicted: {out}' in told.stderr and 'evaluate' in told.stderr
    assert '1 file without a prediction' in told.stderr and 'bad.png cannot' in told.stderr


def test_mistakes_at_the_door(
    runs: Any,
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doors, 'keep_memory', lambda: None)
    monkeypatch.setattr(runtime, 'start', lambda: None)
    colour, dot, bad = folder / 'colour.png', folder / 'dot.png', folder / 'bad.jpg'
    Image.fromarray(RNG.integers(0, 256, (40, 40, 3), np.uint8)).save(colour)
    Image.fromarray(IMAGES[0, :1, :1, 0]).save(dot)
    bad.write_bytes(pickle.dumps('no image'))

    def told(*words: object) -> tuple[int, str, str]:
        code = doors.enter(cli.main, ['predict', str(runs[0]), *map(str, words)])
        return code, *capsys.readouterr()

    for file, reason in {colour: 'in colour', dot: '1 x 1 pixels', bad: 'it is none'}.items():
        code, table, errors = told(file)
        assert (code, table) == (2, '') and errors.startswith(f'error: {file} ')
        assert reason in errors and errors.count('\n') == 1
    code, table, errors = told(folder / '1.png', colour, dot)
    assert code == 2 and '1.png' in table and '2 files without a prediction' in errors
    for words, reason in {
        ('absent.png',): 'no such file',
        (bad, '--prevalence', 2): 'between 0 and 1',
        (bad, '--otu', 'x.csv'): 'did you mean',
        (bad, '--out', 'x.xlsx'): 'must end with',
    }.items():
        code, table, errors = told(*words)
        assert (code, table) == (2, '') and reason in errors and errors.count('\n') == 1


@pytest.mark.parametrize(
    ('change', 'match'),
    [
        (lambda run: (run / 'run.json').unlink(), 'no run folder'),
        (lambda run: (run / 'results.json').unlink(), 'not finished'),
        (lambda run: _renumber(run / 'model.safetensors'), 'newer version'),
    ],
)
def test_runs_that_cannot_predict(
    runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path, change: Any, match: str
) -> None:
    run = shutil.copytree(runs[0], tmp_path / 'run')
    change(run)
    with pytest.raises(UserError, match=match):
        predict.predict([run], [folder], out=tmp_path / 'out.csv')
    assert not (tmp_path / 'out.csv').exists()


def _renumber(path: pathlib.Path) -> None:
    content = path.read_bytes()
    assert content.count(b'"format":"1"') == 1
    path.write_bytes(content.replace(b'"format":"1"', b'"format":"9"'))


def test_memory_does_not_grow_with_the_number_of_files(
    runs: Any, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    import tracemalloc

    whole = np.kron(IMAGES[0, ..., 0], np.ones((8, 8), np.uint8))  # 50 kB, and so is each read
    for i in range(1000):
        Image.fromarray(whole).save(folder / f'more{i}.png')
    peaks = []
    for count in (100, 1000):
        files = sorted(folder.iterdir())[:count]
        tracemalloc.start()
        predict.predict([runs[0]], files, out=tmp_path / f'{count}.csv', batch_size=16)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 900 * 2000  # names and keys; the images at 28 px have 784 bytes
