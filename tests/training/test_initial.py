"""Runs that begin with the weights of others."""

import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
from flax import traverse_util

from pneumo_jax import cli, config, errors, files, pretrain, run, trained, weights

ROOT = pathlib.Path(__file__).parent.parent.parent
VIT, BN = (f'{ROOT}/configs/{name}.py:smoke' for name in ('vit', 'cnn_bn_dropout'))
STILL = {'optim.lr': '1e-12', 'optim.weight_decay': '0', 'steps': '1'}


def flat(folder: pathlib.Path) -> dict[str, Any]:
    return traverse_util.flatten_dict(weights.load(folder / 'model.safetensors')[0], sep='/')


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A classifier with BatchNorm, and a ViT that learned without labels."""
    runs = tmp_path_factory.mktemp('runs')
    run.run(config.load(BN), runs / 'bn')
    pretrain.run(config.load(f'{ROOT}/configs/mae.py:smoke'), runs / 'mae')
    for seed in (3, 4):  # as a run of two seeds leaves them
        (runs / 'two' / f'seed-{seed}').mkdir(parents=True)
        shutil.copy(runs / 'bn/model.safetensors', runs / 'two' / f'seed-{seed}')
    return runs


def test_an_own_run_is_gone_on_from(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    given = {'pretrained.source': str(runs / 'bn'), 'finetune.bn': 'frozen', **STILL}
    run.run(config.load(BN, given), tmp_path)
    first, then = flat(runs / 'bn'), flat(tmp_path)
    assert first.keys() == then.keys()
    for name in first:
        np.testing.assert_allclose(then[name], first[name], atol=1e-7, err_msg=name)


def test_who_goes_on_from_standardised_images_has_them_too(tmp_path: pathlib.Path) -> None:
    run.run(config.load(BN, {'standardise': 'True', 'steps': '1'}), tmp_path / 'first')
    named = {'pretrained.source': str(tmp_path / 'first'), **STILL}
    run.run(config.load(BN, named), tmp_path / 'then')
    assert trained.load(tmp_path / 'then').preprocess.standardise
    with pytest.raises(errors.UserError, match='which timm has no field for'):
        cli.main(['weights', str(tmp_path / 'then'), '--timm', str(tmp_path / 'x.safetensors')])


@pytest.mark.parametrize('patch', ['7', '4'])
def test_a_masked_auto_encoder_becomes_a_classifier(
    runs: pathlib.Path, tmp_path: pathlib.Path, patch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = runs / 'mae' / 'model.safetensors'
    given = {'pretrained.source': str(file), 'pretrained.sha256': files.sha256(file)}
    run.run(config.load(VIT, {**given, **STILL, 'model.patch': patch}), tmp_path)
    first, then = flat(runs / 'mae'), flat(tmp_path)
    assert then.keys() - first.keys() == {'params/head/kernel', 'params/head/bias'}
    assert first.keys() < then.keys()
    same = [name for name in first if first[name].shape == then[name].shape]
    resampled = {'params/pos_embed', 'params/patch_embed_proj/kernel'} if patch == '4' else set()
    assert first.keys() - same == resampled
    for name in same:
        np.testing.assert_allclose(then[name], first[name], atol=1e-7, err_msg=name)
    assert 'new        params/head/kernel (32, 2)' in capsys.readouterr().out


def test_every_seed_has_the_weights_and_a_head_of_its_own(
    runs: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    given = {'pretrained.source': str(runs / 'mae'), 'seeds': '2', 'optim.ema': '0.9', **STILL}
    run.run(config.load(VIT, given), tmp_path)
    one, two = flat(tmp_path / 'seed-0'), flat(tmp_path / 'seed-1')
    np.testing.assert_allclose(one['params/norm/scale'], two['params/norm/scale'])
    assert np.abs(one['params/head/kernel'] - two['params/head/kernel']).max() > 1e-3


def test_the_head_alone_is_trained_at_first(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    given = {'pretrained.source': str(runs / 'mae'), 'finetune.freeze_epochs': '1', 'epochs': '1'}
    run.run(config.load(VIT, given), tmp_path)
    first, then = flat(runs / 'mae'), flat(tmp_path)
    for name in first:
        np.testing.assert_array_equal(then[name], first[name], err_msg=name)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'pretrained.source': 'runs/nothing-of-the-kind'}, 'pneumo_jax pretrain --config'),
        ({'pretrained.source': '{runs}/two'}, 'holds 2 models; give one of them, such as .*seed-3'),
        ({'pretrained.source': '{runs}/mae', 'model.heads': '4'}, 'model with heads=2'),
        ({'pretrained.source': '{runs}/mae', 'model.depth': '3'}, 'model with depth=2'),
        ({'pretrained.source': '{runs}/bn'}, 'a model with name='),
        ({'pretrained.source': '{runs}/mae', 'pretrained.sha256': '00'}, 'SHA-256'),
    ],
)
def test_what_does_not_fit_is_told(
    runs: pathlib.Path, tmp_path: pathlib.Path, given: dict[str, str], message: str
) -> None:
    given = {field: text.format(runs=runs) for field, text in given.items()}
    with pytest.raises(errors.UserError, match=message):
        run.run(config.load(VIT, given), tmp_path)
    assert not list(tmp_path.iterdir()), 'a mistake does not claim the folder'


def test_another_source_is_another_run(runs: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run.run(config.load(VIT, STILL), tmp_path)
    with pytest.raises(errors.UserError, match=r'pretrained\.source'):
        run.run(config.load(VIT, {**STILL, 'pretrained.source': str(runs / 'mae')}), tmp_path)
