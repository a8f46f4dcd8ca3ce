"""Pretraining without labels: resumed to the same bits, and blind to val and test."""

import dataclasses
import pathlib
import signal
from typing import Any

import jax
import numpy as np
import pytest

from pneumo_jax import config, data, errors, pretrain, run, trained, weights
from pneumo_jax.data.dataset import Split
from pneumo_jax.training import checkpoint, log, loop

ROOT = pathlib.Path(__file__).parent.parent
PAGE = f'{ROOT}/configs/mae.py:smoke'


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp('pretrain') / 'whole'
    pretrain.run(config.load(PAGE), folder)
    return folder


def assert_same(one: pathlib.Path, other: pathlib.Path) -> None:
    both = [weights.load(folder / 'model.safetensors')[0] for folder in (one, other)]
    jax.tree.map(np.testing.assert_array_equal, *both)


def test_it_leaves_weights_figure_and_log(
    whole: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = log.read(whole)
    assert second['train_loss'] < first['train_loss']
    names = ['epoch', 'step', 'train_grad_norm', 'train_loss', 'images_per_second']
    assert list(first) == names
    assert (whole / pretrain.FIGURE).stat().st_size > 10_000
    pretrain.run(config.load(PAGE), whole)
    assert f'--config.pretrained.source={whole}' in capsys.readouterr().out


def test_killed_and_run_again_on_other_labels_and_splits_it_ends_with_the_same_bits(
    whole: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, load = checkpoint.Checkpoints.save, data.load

    def save_and_die(self: Any, *arguments: Any) -> None:
        save(self, *arguments)
        raise KeyboardInterrupt

    def changed(**how: Any) -> Any:
        dataset = load(**how)
        train = dataclasses.replace(dataset.train, labels=dataset.train.labels[::-1].copy())
        other = Split(np.zeros_like(dataset.val.images), dataset.val.labels)
        return dataclasses.replace(dataset, train=train, val=other, test=other)

    monkeypatch.setattr(data, 'load', changed)
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(checkpoint.Checkpoints, 'save', save_and_die)
        pretrain.run(config.load(PAGE), tmp_path)
    assert not (tmp_path / 'model.safetensors').exists()
    pretrain.run(config.load(PAGE), tmp_path)
    assert_same(whole, tmp_path)


def test_what_has_no_patches_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UserError, match="takes 'vit'"):
        pretrain.run(config.load(f'{ROOT}/configs/mlp.py:smoke'), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('field', 'value', 'told'),
    [
        ('seeds', '3', 'nothing that pretrain uses'),
        ('optim.ema', '0.9', 'nothing that pretrain uses'),
        ('mae.decoder_width', '100', 'a multiple of 32'),
        ('model.patch', '28', 'hides none of the 1 patches'),
    ],
)
def test_what_would_do_nothing_is_refused(
    tmp_path: pathlib.Path, field: str, value: str, told: str
) -> None:
    with pytest.raises(errors.UserError, match=told):
        pretrain.run(config.load(PAGE, {field: value}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_encoder_alone_predicts_nothing(whole: pathlib.Path) -> None:
    with pytest.raises(errors.UserError, match='an encoder without a head: fine-tune it'):
        trained.load(whole)


def test_the_two_verbs_leave_each_others_runs_alone(whole: pathlib.Path) -> None:
    before = sorted(whole.rglob('*'))
    with pytest.raises(errors.UserError, match='holds a run of `pretrain`, and this is `main`'):
        run.run(config.load(PAGE), whole)
    assert sorted(whole.rglob('*')) == before


def test_a_signal_before_the_first_step_is_heard_after_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, whole: pathlib.Path
) -> None:
    page = config.load(PAGE, {'checkpoint.steps': '1'})
    begin = loop.begin

    def signalled(*given: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return begin(*given)

    with monkeypatch.context() as told:
        told.setattr(loop, 'begin', signalled)
        with pytest.raises(errors.Stopped, match='after step 1 of'):  # and not 0
            pretrain.run(page, tmp_path)
    pretrain.run(page, tmp_path)
    assert_same(whole, tmp_path)
    files = [(folder / 'model.safetensors').read_bytes() for folder in (whole, tmp_path)]
    assert files[0] == files[1]


def test_the_door(whole: pathlib.Path, door: Any) -> None:
    told = door('pneumo_jax', 'pretrain', '--config', PAGE, '--workdir', whole)
    assert told.returncode == 0, told.stderr
    assert 'is finished. Fine-tune it with' in told.stdout
    told = door('pneumo_jax', 'pretrain', '--config', PAGE, '--wrkdir', 'x')
    assert (told.returncode, told.stderr.count('\n')) == (2, 1)
    assert "did you mean '--workdir'" in told.stderr
