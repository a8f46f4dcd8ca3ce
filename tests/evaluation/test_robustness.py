"""Balanced errors on corrupted images, by models whose errors are known."""

import json
import pathlib
import types
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from pneumo_jax import cli, config, doors, run, runtime, trained
from pneumo_jax.augment import corruptions
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.evaluation import robustness, robustness_report
from pneumo_jax.training import workdir

ROOT = pathlib.Path(__file__).parent.parent.parent
LABELS = np.array([0] * 10 + [1] * 30)
FEW = ('brightness_down', 'contrast_up', 'gaussian_noise')


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: corruptions.CORRUPTIONS[name] for name in FEW}
    monkeypatch.setattr(corruptions, 'CORRUPTIONS', kept)


def bright_is_ill() -> Any:
    """A model for which an image is of class 1 where its mean is above 100."""

    def predict(variables: Any, images: Any) -> Any:
        margin = images.astype(jnp.float32).mean((1, 2, 3)) - 100
        return jnp.stack([-margin, margin], 1)

    member = types.SimpleNamespace(predict=predict, variables={})
    return types.SimpleNamespace(members=(member,), title='bright is ill')


def split() -> Split:
    levels = np.where(LABELS, 130, 60).astype(np.uint8)
    return Split(np.broadcast_to(levels[:, None, None, None], (40, 12, 12, 1)).copy(), LABELS)


def test_errors_by_hand() -> None:
    rng = np.random.default_rng(0)
    clean = (rng.random(40) < 0.2).astype(float)
    wrong = (rng.random((5, 40)) < 0.4).astype(float)
    found = robustness.summary(clean, {'fog': wrong, 'rain': np.ones((5, 40))}, LABELS)
    by_sklearn = [
        1 - balanced_accuracy_score(LABELS, np.where(row, 1 - LABELS, LABELS))
        for row in (clean, *wrong)
    ]
    row = found['corruptions']['fog']
    assert found['clean'][0] == pytest.approx(by_sklearn[0])
    assert row['severities'] == pytest.approx(by_sklearn[1:])
    assert row['mean'][0] == pytest.approx(np.mean(by_sklearn[1:]))
    assert row['relative'][0] == pytest.approx(np.mean(by_sklearn[1:]) - by_sklearn[0])
    assert found['mean'][0] == pytest.approx((row['mean'][0] + 1) / 2)
    assert found['relative'][0] == pytest.approx(found['mean'][0] - by_sklearn[0])
    for mean, low, high in (found['clean'], row['mean'], row['relative'], found['mean']):
        assert low < mean < high
    # Its standard error, from each class's own share of errors.
    shares = [clean[k == LABELS].mean() for k in (0, 1)]
    error = 0.5 * np.sqrt(sum(p * (1 - p) / n for p, n in zip(shares, (10, 30), strict=True)))
    assert (found['clean'][2] - found['clean'][1]) / (2 * 1.96) == pytest.approx(error, rel=0.15)


def test_a_model_that_goes_by_brightness_fails_in_the_dark(few: None) -> None:
    clean, corrupted = robustness.errors_of(bright_is_ill(), split())
    found = robustness.summary(clean, corrupted, LABELS)
    rows = found['corruptions']
    assert found['clean'] == [0, 0, 0]
    # 130 times 0.9, 0.8, 0.7, 0.6 and 0.5: the ill are lost from 0.7 on.
    assert rows['brightness_down']['severities'] == [0, 0, 0.5, 0.5, 0.5]
    assert rows['gaussian_noise']['mean'][0] == 0
    assert found['relative'][0] == pytest.approx(0.3 / 3)


def test_noise_is_the_images_own(few: None) -> None:
    images = split().images
    one = np.asarray(robustness.changed('gaussian_noise', 3, images[8:16], 1))
    whole = np.asarray(robustness.changed('gaussian_noise', 3, images[:16], 0))
    np.testing.assert_array_equal(one, whole[8:])
    assert (whole[8] != whole[9]).any()


def test_alexnet_against_itself() -> None:
    rows = {name: {'mean': [error, 0, 1]} for name, error in robustness.ALEXNET.items()}
    found = {'clean': [robustness.ALEXNET_CLEAN, 0, 1], 'corruptions': rows}
    against = robustness.against_alexnet(found)
    assert set(against['be']) == set(corruptions.CORRUPTIONS)
    assert against['mean_be'] == pytest.approx(1) and against['mean_rbe'] == pytest.approx(1)
    better = {name for name, value in against['rbe'].items() if value is None}
    assert better == {'contrast_up', 'gamma_corr_up'}


def test_the_report(few: None, tmp_path: pathlib.Path) -> None:
    dataset = Dataset('gray levels', ('Normal', 'Pneumonia'), split(), split(), split())
    found = robustness.evaluate(bright_is_ill(), dataset, tmp_path / 'out')
    assert json.loads((tmp_path / 'out' / 'corruptions.json').read_text()) == found
    text = (tmp_path / 'out' / 'corruptions.md').read_text()
    assert text == robustness_report.markdown(found)
    row = next(line for line in text.splitlines() if 'brightness_down' in line)
    assert '| 0.0 | 0.0 | 50.0 | 50.0 | 50.0 | 30.0 [' in row
    assert (tmp_path / 'out' / 'corruptions.png').read_bytes().startswith(b'\x89PNG')
    row = found['corruptions']['brightness_down']
    row['relative'] = [0.3, 0.3 + 1e-16, 0.3 - 1e-16]  # outside of it, by round-off
    robustness_report.draw(found, tmp_path / 'again.png')


def test_the_verb_notes_the_look_at_test(
    few: None,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runtime, 'start', lambda: None)
    folder = tmp_path / 'run'
    run.run(config.load(f'{ROOT}/configs/mlp.py:smoke'), folder)
    before = workdir.times_scored(folder, 'test')
    assert doors.enter(cli.main, ['corruptions', str(folder)]) == 0
    assert workdir.times_scored(folder, 'test') == before + 1
    assert trained.load(folder).title in capsys.readouterr().out
    (folder / workdir.RESULTS).unlink()
    assert doors.enter(cli.main, ['corruptions', str(folder)]) == 2
    assert 'is not finished' in capsys.readouterr().err
    assert workdir.times_scored(folder, 'test') == before + 1
