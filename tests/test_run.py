"""Whole runs, in this process, on four devices."""

import functools
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

from pneumo_jax import config, data, errors, models, run, runtime, trained
from pneumo_jax.data import preprocess
from pneumo_jax.evaluation import figures, gather
from pneumo_jax.models.pretrained import export
from pneumo_jax.training import checkpoint, log, loop, programs

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / 'configs').glob('*.py') if page.stem != 'common')


def weights_for(page: pathlib.Path, folder: pathlib.Path) -> dict[str, str]:
    """What names a drawn file like that which a page would download, where it would; few images."""
    asked, smoke = config.load(str(page)), config.load(f'{page}:smoke')
    if not asked.pretrained.source or asked.model.name != smoke.model.name:
        return {}
    shape, rng = (224, 224, 3), np.random.default_rng(0)
    model = models.create(**asked.model, num_classes=1000)
    init = functools.partial(model.init, train=False)
    shapes = jax.eval_shape(init, jax.random.key(0), np.zeros((1, *shape), np.float32))
    # A variance is to be positive.
    drawn = jax.tree.map(lambda leaf: np.abs(rng.normal(0, 0.02, leaf.shape)).astype('f'), shapes)
    file = folder / f'{asked.pretrained.source}.safetensors'
    known = {'model_name': asked.model.name, 'model': model, 'variables': drawn}
    export.save(file, image_shape=shape, **known)
    return {'pretrained.source': str(file), 'data.limit': '16'}  # code for tests is slow


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_every_page_runs_its_smoke_form(page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'run'
    asked = config.load(f'{page}:smoke')
    # Depth is what compiling takes long for; the whole of it is in tests/models.
    shallow = {'model.blocks': '1,1,1,1'} if isinstance(asked.model.get('blocks'), tuple) else {}
    run.run(config.load(f'{page}:smoke', weights_for(page, tmp_path) or shallow), folder)
    results = json.loads((folder / 'results.json').read_text())
    assert set(results['test']) == {
        'accuracy',
        'auroc',
        'sensitivity',
        'specificity',
        'balanced_accuracy',
        'loss',
        'n',
    }
    assert len(log.read(folder)) == 2
    for name in ('learning_curves', 'roc', 'confusion'):
        assert (folder / 'figures' / f'{name}.png').stat().st_size > 10_000


def test_everything_a_run_leaves_agrees(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'run'
    run.run(config.load(f'{ROOT}/configs/cnn.py:smoke', {'seed': '3'}), folder)
    results = json.loads((folder / 'results.json').read_text())
    for split in ('val', 'test'):
        with np.load(folder / f'predictions_{split}.npz', allow_pickle=False) as predictions:
            chosen = predictions['probabilities'].argmax(1)
            assert (chosen == predictions['labels']).mean() == results[split]['accuracy']
            assert len(chosen) == results[split]['n']
            assert 'synthetic' in str(predictions['data'])
    last = log.read(folder)[-1]
    assert last['val_auroc'] == results['val']['auroc']
    record = json.loads((folder / 'run.json').read_text())
    assert record['config']['seed'] == 3
    assert record['data']['sha256'] == results['data']['sha256']
    assert set(results['origin']) >= {'command', 'commit', 'device', 'versions'}


@pytest.mark.parametrize(('seeds', 'which'), [('1', 'seed 3'), ('2', 'ensemble of seeds 3 to 4')])
def test_learning_curves_are_titled_by_data_model_and_seed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, seeds: str, which: str
) -> None:
    titles = []
    monkeypatch.setattr(figures, 'learning_curves', lambda rows, title, path: titles.append(title))
    page = f'{ROOT}/configs/mlp.py:smoke'
    run.run(config.load(page, {'seed': '3', 'seeds': seeds}), tmp_path / 'run')
    assert len(titles) == 1
    assert 'synthetic' in titles[0].lower()
    assert titles[0].endswith(f', mlp, {which}')


def test_the_weights_that_are_scored_can_be_the_best(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {'weights': 'best', 'epochs': '4', 'checkpoint.best': 'loss'}
    run.run(config.load(f'{ROOT}/configs/cnn.py:smoke', wanted), tmp_path)
    rows = log.read(tmp_path)
    best = min(rows, key=lambda row: row['val_loss'])
    results = json.loads((tmp_path / 'results.json').read_text())
    assert f'scoring step {best["step"]}, the best by val loss' in capsys.readouterr().out
    np.testing.assert_allclose(results['val']['loss'], best['val_loss'], rtol=1e-5)


def test_averaged_weights_are_the_scored_ones(tmp_path: pathlib.Path) -> None:
    scores = {}
    for ema in ('0', '0.9'):
        folder = tmp_path / ema
        run.run(config.load(f'{ROOT}/configs/cnn.py:smoke', {'optim.ema': ema}), folder)
        scores[ema] = json.loads((folder / 'results.json').read_text())['val']['loss']
    assert scores['0'] != scores['0.9']


def test_bfloat16_and_steps(tmp_path: pathlib.Path) -> None:
    wanted = {'model.dtype': 'bfloat16', 'steps': '4'}
    run.run(config.load(f'{ROOT}/configs/resnet18.py:smoke', wanted), tmp_path)
    assert [row['step'] for row in log.read(tmp_path)] == [3, 4]


def test_colour_images_of_five_classes_from_a_file(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    content = {}
    for split, size in (('train', 60), ('val', 20), ('test', 20)):
        labels = np.arange(size) % 5
        noise = rng.integers(0, 100, (size, 24, 24, 3))
        content[f'{split}_images'] = (noise + labels[:, None, None, None] * 30).astype(np.uint8)
        content[f'{split}_labels'] = labels[:, None].astype(np.uint8)
    np.savez(tmp_path / 'colours.npz', **content)
    wanted = {'data.path': str(tmp_path / 'colours.npz'), 'data.size': '0', 'epochs': '8'}
    folder = tmp_path / 'run'
    run.run(config.load(f'{ROOT}/configs/mlp.py', wanted), folder)
    results = json.loads((folder / 'results.json').read_text())
    assert results['data']['classes'] == ['0', '1', '2', '3', '4']
    assert results['test']['auroc'] > 0.8
    assert not list(folder.glob('*.csv')), "it is no official file of MedMNIST's"


def test_originals_train_and_nothing_else_needs_them(tmp_path: pathlib.Path) -> None:
    """Enlarged images, not augmented, are shrunk to what they were: the run is the same."""
    phantoms = data.load(name='synthetic', size=28, limit=48)
    for times, name in ((1, 'small'), (2, 'large')):
        splits = {split: getattr(phantoms, split) for split in ('train', 'val', 'test')}
        arrays = {f'{split}_labels': part.labels for split, part in splits.items()}
        for split, part in splits.items():
            arrays[f'{split}_images'] = part.images.repeat(times, 1).repeat(times, 2)
        np.savez(tmp_path / f'{name}.npz', **arrays)
    large = tmp_path / 'large.npz'
    wanted = {'data.path': str(tmp_path / 'small.npz'), 'data.name': 'pneumoniamnist'}
    page = f'{ROOT}/configs/mlp.py:smoke'
    run.run(config.load(page, wanted), tmp_path / 'without')
    run.run(config.load(page, {**wanted, 'originals': str(large)}), tmp_path / 'with')
    found = [json.loads((tmp_path / f / 'results.json').read_text()) for f in ('without', 'with')]
    assert found[0]['test'] == pytest.approx(found[1]['test'], abs=1e-4)
    record = json.loads((tmp_path / 'with' / 'run.json').read_text())
    assert len(record['data']['originals']) == 64 and len(record['data']['sha256']) == 64
    large.unlink()
    trained_run = trained.load(tmp_path / 'with')
    assert trained_run.preprocess.image_shape == (28, 28, 1)
    gather.own_data(trained_run)


def test_the_official_file_and_medmnists_own_evaluator(
    tmp_path: pathlib.Path, real_data: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PNEUMO_JAX_DATA', str(real_data))
    run.run(config.load(f'{ROOT}/configs/mlp.py:28', {'steps': '100'}), tmp_path)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert (results['val']['n'], results['test']['n']) == (524, 624)
    home = tmp_path / 'home' / '.medmnist'
    home.mkdir(parents=True)
    (home / 'pneumoniamnist.npz').symlink_to(real_data / 'pneumoniamnist.npz')
    code = (
        'import sys; from medmnist.evaluator import Evaluator;'
        'print(*Evaluator.parse_and_evaluate(sys.argv[1]), file=sys.stderr)'
    )
    for split in ('val', 'test'):
        (file,) = tmp_path.glob(f'pneumoniamnist_{split}_*.csv')
        done = subprocess.run(
            [sys.executable, '-c', code, str(file)],
            env={**os.environ, 'HOME': str(home.parent)},
            capture_output=True,
            text=True,
            check=True,
        )
        auc, acc = map(float, done.stderr.splitlines()[-1].split())
        assert auc == pytest.approx(results[split]['auroc'], abs=1e-12)
        assert acc == results[split]['accuracy']


def test_a_checkpoint_of_another_preprocessing_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = config.load(f'{ROOT}/configs/mlp.py:smoke')
    run.run(page, tmp_path)
    (tmp_path / 'results.json').unlink()
    monkeypatch.setattr(run, 'Preprocess', functools.partial(preprocess.Preprocess, mean=0.4))
    with pytest.raises(errors.UserError, match=r"trained with preprocess .*'mean': 0\.5"):
        run.run(page, tmp_path)


def test_a_loop_on_the_device_is_resumed_to_the_same_bits(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU; the run is killed in the middle of an epoch, and of what was one loop."""
    monkeypatch.setattr(runtime, 'prefers_one_program', lambda: True)
    monkeypatch.setattr(programs, 'LONGEST', 3)
    wanted = {
        'model.features': '(4, 4)',
        'data.limit': '80',
        'checkpoint.steps': '4',
        'optim.ema': '0.9',
    }
    page = config.load(f'{ROOT}/configs/cnn_bn_dropout.py:smoke', wanted)
    run.run(page, tmp_path / 'whole')

    run_until_killed(page, tmp_path / 'killed', 4, monkeypatch)
    assert not log.read(tmp_path / 'killed'), 'the first of the two epochs has 5 steps'
    run.run(page, tmp_path / 'killed')
    assert ended(tmp_path / 'killed') == ended(tmp_path / 'whole')


def run_until_killed(
    page: Any, folder: pathlib.Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends right after the checkpoint of step `at` was asked for."""
    save = checkpoint.Checkpoints.save

    def save_and_die(self: Any, step: int, *arguments: Any) -> None:
        save(self, step, *arguments)
        if step == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(checkpoint.Checkpoints, 'save', save_and_die)
        run.run(page, folder)


def ended(folder: pathlib.Path) -> tuple[Any, ...]:
    """What must not depend on whether a run was interrupted."""
    meta = json.loads((folder / 'checkpoints' / '10' / 'meta' / 'metadata').read_text())
    rows = [{**row, 'images_per_second': 0} for row in log.read(folder)]
    return meta['sha256'], rows, (folder / 'predictions_test.npz').read_bytes()


def test_a_report_that_is_lost_is_written_again(tmp_path: pathlib.Path) -> None:
    page = config.load(f'{ROOT}/configs/mlp.py:smoke')
    run.run(page, tmp_path)
    report = (tmp_path / 'report.txt').read_text()
    (tmp_path / 'report.txt').unlink()
    run.run(page, tmp_path)
    assert (tmp_path / 'report.txt').read_text() == report


def test_a_mistake_does_not_claim_the_folder(tmp_path: pathlib.Path) -> None:
    for size in ('52', '18'):  # more than the images; not shared evenly by four devices
        with pytest.raises(errors.UserError, match='batch_size'):
            run.run(config.load(f'{ROOT}/configs/mlp.py:smoke', {'batch_size': size}), tmp_path)
        assert not list(tmp_path.iterdir())
    with pytest.raises(errors.UserError, match='mixup'):
        run.run(config.load(f'{ROOT}/configs/mlp.py:smoke', {'mix.mixup': '1e-45'}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_several_seeds_leave_each_their_mean_and_the_ensemble(tmp_path: pathlib.Path) -> None:
    wanted = {'seeds': '2', 'seed': '5', 'score_corrupted': 'True', 'score_reframed': 'True'}
    wanted |= {'views': 'flip'}
    run.run(config.load(f'{ROOT}/configs/cnn_bn_dropout.py:smoke', wanted), tmp_path)
    results = json.loads((tmp_path / 'results.json').read_text())
    each = {seed: results['seeds'][seed] for seed in ('5', '6')}
    assert each['5'] != each['6']
    for split in ('val', 'val_corrupted', 'val_reframed', 'val_reframed_corrupted', 'test'):
        probabilities = []
        for seed in each:
            place = tmp_path / f'seed-{seed}'
            assert json.loads((place / 'results.json').read_text())['test'] == each[seed]['test']
            with np.load(place / f'predictions_{split}.npz', allow_pickle=False) as found:
                probabilities.append(found['probabilities'])
        with np.load(tmp_path / f'predictions_{split}.npz', allow_pickle=False) as found:
            np.testing.assert_allclose(found['probabilities'], np.mean(probabilities, 0))
        mean = np.mean([scores[split]['auroc'] for scores in each.values()])
        assert results[split]['auroc'] == pytest.approx(mean)
    assert log.read(tmp_path)[-1]['val_auroc'] == pytest.approx(results['val']['auroc'])
    report = (tmp_path / 'report.txt').read_text()
    assert 'ensemble of seeds 5 to 6' in report
    assert f'{results["test"]["auroc"]:.4f}' in report.split('Each seed by itself')[1]


def test_how_often_test_was_scored_is_told(tmp_path: pathlib.Path) -> None:
    page = config.load(f'{ROOT}/configs/mlp.py:smoke')
    for times in (1, 2):
        run.run(page, tmp_path)
        run.run(page, tmp_path)  # a finished run is not scored again
        results = tmp_path / 'results.json'
        assert json.loads(results.read_text())['test_scored'] == times
        results.unlink()


def test_the_whole_recipe_is_resumed_to_the_same_bits(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {
        'model.features': '(4, 4)',
        'augment.crop': '0.3',
        'augment.flip': 'True',
        'augment.noise': '0.05',
        'mix.mixup': '0.2',
        'loss.smoothing': '0.1',
        'optim.schedule': 'onecycle',
        'optim.sam': '0.02',
        'optim.swa': '0.5',
        'seeds': '2',
        'data.limit': '80',
        'checkpoint.steps': '4',
    }
    page = config.load(f'{ROOT}/configs/cnn_bn_dropout.py:smoke', parts)
    run.run(page, tmp_path / 'whole')
    run_until_killed(page, tmp_path / 'killed', 8, monkeypatch)
    run.run(page, tmp_path / 'killed')
    assert ended(tmp_path / 'killed') == ended(tmp_path / 'whole')


@pytest.mark.parametrize(
    ('apart', 'weights', 'all_kept'), [(99, 'last', False), (0, 'last', True), (99, 'best', True)]
)
def test_short_epochs_share_a_checkpoint(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    apart: int,
    weights: str,
    all_kept: bool,
) -> None:
    """But for the last one, and where the best is to be scored."""
    monkeypatch.setattr(loop, 'APART', apart)
    page = config.load(f'{ROOT}/configs/mlp.py:smoke', {'epochs': '2', 'weights': weights})
    run.run(page, tmp_path)
    kept = {int(path.name) for path in (tmp_path / 'checkpoints').iterdir()}
    ends = [row['step'] for row in log.read(tmp_path)]
    assert kept == {*ends[0 if all_kept else -1 :]}
