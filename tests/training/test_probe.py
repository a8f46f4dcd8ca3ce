"""The linear probe: scikit-learn's solution in the place of a head, and a run like any other."""

import json
import pathlib

import jax
import numpy as np
import pytest

from pneumo_jax import config, data, errors, run, trained, weights
from pneumo_jax.evaluation import metrics
from pneumo_jax.training import log, probe

PAGE = f'{pathlib.Path(__file__).parent.parent.parent}/configs/mlp.py:smoke'


@pytest.mark.parametrize('classes', [2, 3])
def test_the_solution_is_scikit_learns(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    labels = np.arange(60) % classes
    seen = (rng.normal(size=(60, 4)) * 5 + 3 + labels[:, None]).astype(np.float32)
    head = probe.solve(seen, labels, 0.1)
    logits = seen @ head['kernel'] + head['bias']
    scaled = StandardScaler().fit_transform(seen.astype(np.float64))
    wanted = LogisticRegression(C=0.1).fit(scaled, labels).predict_proba(scaled)
    np.testing.assert_allclose(metrics.softmax(logits), wanted, atol=1e-4)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp('probe') / 'run'
    run.run(config.load(PAGE, {'finetune.mode': 'probe', 'augment.flip': 'True'}), folder)
    return folder


def test_a_probe_is_a_finished_run(folder: pathlib.Path) -> None:
    loaded = trained.load(folder)
    images = data.load(**loaded.records[0]['config']['data']).test.images
    (stored,), _ = trained.predictions([folder], 'test')
    np.testing.assert_allclose(loaded.logits(images), stored, atol=1e-4)
    (row,) = log.read(folder)
    assert row['C'] in probe.STRENGTHS
    results = json.loads((folder / 'results.json').read_text())
    assert results['val']['auroc'] == pytest.approx(row['val_auroc'], abs=1e-6)
    assert row['train_accuracy'] > 0.6, 'it has learned something of 48 images'


def test_only_the_head_is_another(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    wanted = {'optim.lr': '1e-12', 'steps': '1'}
    run.run(config.load(PAGE, wanted), tmp_path)
    first = weights.load(tmp_path / 'model.safetensors')[0]['params']
    found = weights.load(folder / 'model.safetensors')[0]['params']
    np.testing.assert_allclose(found['fc1']['kernel'], first['fc1']['kernel'], atol=1e-9)
    assert np.abs(found['fc2']['kernel'] - first['fc2']['kernel']).max() > 1e-3


@pytest.mark.parametrize('field', ['seeds', 'finetune.freeze_epochs'])
def test_what_a_probe_has_not_is_refused(field: str) -> None:
    with pytest.raises(errors.UserError, match='solves for the head of one model'):
        config.load(PAGE, {'finetune.mode': 'probe', field: '2'})


def test_what_it_says_does_nothing_does_nothing(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {'optim.lr': '1.0', 'augment.crop': '0.5', 'mix.mixup': '1.0', 'loss.smoothing': '0.1'}
    given = {'finetune.mode': 'probe', 'augment.flip': 'True', 'epochs': '3', 'batch_size': '7'}
    run.run(config.load(PAGE, given | other), tmp_path)
    assert probe.UNUSED in capsys.readouterr().out
    wanted = weights.load(folder / 'model.safetensors')[0]['params']
    found = weights.load(tmp_path / 'model.safetensors')[0]['params']
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
