"""Whole runs, in this process, on four devices."""

import json
import pathlib

import numpy as np
import pytest

from pneumo_jax import config, run
from pneumo_jax.training import log

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / 'configs').glob('*.py') if page.stem != 'common')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_every_page_runs_its_smoke_form(page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'run'
    run.run(config.load(f'{page}:smoke'), folder)
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
