"""Weights from files, without torch: against logits of torchvision and timm that are committed."""

import json
import os
import pathlib
import runpy
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from safetensors.numpy import load_file, save_file

from pneumo_jax import cli, config, errors, files, models, weights
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.models import pretrained
from pneumo_jax.models.pretrained import export, fit, hub

GOLDEN = pathlib.Path(__file__).parent.parent / 'golden'
draw = SimpleNamespace(**runpy.run_path(str(GOLDEN / 'draw.py')))
SMALL = {'width': 96, 'depth': 2, 'heads': 3}
# By golden case: ours, its fields, and what the file is called.
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    'resnet18': ('resnet18', {}, 'resnet18.tv_in1k'),
    'resnet50': ('resnet50', {}, 'resnet50.tv_in1k'),
    'densenet121': ('densenet121', {}, 'densenet121.tv_in1k'),
    'convnext_tiny': ('convnext_tiny', {}, 'convnext_tiny.fb_in1k'),
    'convnext_tiny-torchvision': ('convnext_tiny', {}, 'convnext_tiny'),
    'vit': ('vit', SMALL, 'vit_tiny_patch16_224.augreg_in21k'),
    'vit-torchvision': ('vit', SMALL, 'vit_b_16'),
    'vit-resampled': ('vit', SMALL, 'vit_tiny_patch16_224.augreg_in21k'),
    'vit-enlarged': ('vit', {**SMALL, 'patch': 8}, 'vit_tiny_patch16_224.augreg_in21k'),
    'vit-layer-scale': (
        'vit',
        {**SMALL, 'patch': 14, 'layer_scale': True},
        'vit_small_patch14_dinov2.lvd142m',
    ),
}


def read(case: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f'{case}.json').read_text())


def written(case: str, folder: pathlib.Path, **changes: Any) -> pathlib.Path:
    """The file of a case; `changes` are tensors to replace, or None for those it is to lack."""
    tensors = draw.tensors(read(case)['shapes']) | changes
    path = folder / f'{CASES[case][2]}.safetensors'
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def initial(model: nn.Module, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Variables of the right shapes, drawn in no time."""
    shapes = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, *shape)), train=False), jax.random.key(0)
    )
    return jax.tree.map(lambda leaf: np.full(leaf.shape, 0.125, leaf.dtype), shapes)


def loaded(
    path: pathlib.Path, case: str, shape: tuple[int, int, int], classes: int = 10
) -> tuple[nn.Module, dict[str, Any], pretrained.Report]:
    name, fields, _ = CASES[case]
    model = models.create(name, num_classes=classes, **fields)
    found = pretrained.load(
        str(path),
        model_name=name,
        model=model,
        variables=initial(model, shape),
        image_shape=shape,
    )
    return model, *found


def logits(model: nn.Module, variables: Any, fed: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, fed))


@pytest.mark.parametrize('case', CASES)
def test_logits_are_those_of_torchvision_and_timm(case: str, tmp_path: pathlib.Path) -> None:
    golden = read(case)
    path = written(case, tmp_path)
    expected = pretrained.expects(str(path), model_name=CASES[case][0])
    assert [list(expected.mean), list(expected.std)] == [golden['mean'], golden['std']]
    colour = Preprocess(*golden['size'], 3, *expected.scale)
    gray = Preprocess(*golden['size'], 1, *expected.scale)
    fed = colour(draw.images(*golden['size'])), gray(draw.images(*golden['size'], channels=1))
    model, variables, _ = loaded(path, case, colour.fed_shape)
    if gray.fed_shape == colour.fed_shape:
        found = logits(model, variables, np.concatenate(fed))
    else:
        model, summed, report = loaded(path, case, gray.fed_shape)
        assert 'patch_embed.proj.weight' in report.resampled
        found = np.concatenate([logits(model, variables, fed[0]), logits(model, summed, fed[1])])
    np.testing.assert_allclose(found, golden['logits'] + golden['gray_logits'], rtol=0, atol=1e-4)


@pytest.mark.parametrize('case', ['densenet121', 'vit-torchvision'])
def test_older_names_of_torchvision_are_known(case: str, tmp_path: pathlib.Path) -> None:
    import re

    def old(name: str) -> str:
        name = re.sub(r'(denselayer\d+\.(?:norm|conv))(\d)', r'\1.\2', name)
        return name.replace('mlp.0', 'mlp.linear_1').replace('mlp.3', 'mlp.linear_2')

    path = written(case, tmp_path)
    new = load_file(path)
    renamed = {old(name): tensor for name, tensor in new.items()}
    assert renamed.keys() != new.keys()
    save_file(renamed, path.with_name('vit_b_16.old.safetensors'))
    shape = (*read(case)['size'], 3)
    same = [
        loaded(each, case, shape)[1] for each in (path, path.with_name('vit_b_16.old.safetensors'))
    ]
    jax.tree.map(np.testing.assert_array_equal, *same)


def test_every_tensor_is_used_or_dropped_and_every_parameter_filled_or_new(
    tmp_path: pathlib.Path,
) -> None:
    path = written('resnet18', tmp_path)
    _, variables, report = loaded(path, 'resnet18', (67, 54, 3), classes=2)
    assert report.used.keys() | report.dropped.keys() == read('resnet18')['shapes'].keys()
    assert not report.used.keys() & report.dropped.keys()
    assert report.new == {'params/fc/kernel': (512, 2), 'params/fc/bias': (2,)}
    assert (variables['params']['fc']['kernel'] == 0.125).all()  # as it was initialised
    assert report.dropped['fc.weight'] == (10, 512)
    assert report.sha256 == files.sha256(path)
    for line in ('used       100 tensors', 'dropped    20 x num_batches', 'new        params/fc'):
        assert line in str(report)


def test_a_file_without_a_head_leaves_ours_as_it_is(tmp_path: pathlib.Path) -> None:
    path = written('vit', tmp_path, **{'head.weight': None, 'head.bias': None})
    _, _, report = loaded(path, 'vit', (48, 80, 3))
    assert report.new.keys() == {'params/head/kernel', 'params/head/bias'}
    assert not report.dropped


def test_a_mismatch_lists_all_of_it_with_shapes(tmp_path: pathlib.Path) -> None:
    extra = np.zeros((2, 3), np.float32)
    changes = {'norm.weight': None, 'reg_token': extra, 'blocks.0.norm1.bias': extra}
    path = written('vit', tmp_path, **changes)
    with pytest.raises(errors.UserError) as caught:
        loaded(path, 'vit', (48, 80, 3))
    for line in (
        'not in the file: params/norm/scale (96,)',
        'not in the model: reg_token (2, 3)',
        'another shape: blocks.0.norm1.bias (2, 3), params/blocks_0/norm1/bias (96,)',
    ):
        assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize('shape', [(), (0,), (1, 0, 96), (2, 5, 5), (1, 1, 1, 1), (3, 0, 2, 2)])
def test_tensors_of_any_shape_are_refused_in_words(
    shape: tuple[int, ...], tmp_path: pathlib.Path
) -> None:
    names = [name for name in read('vit')['shapes'] if not name.startswith('head')]
    odd = {name: np.zeros(shape, np.float32) for name in names}
    with pytest.raises(errors.UserError, match=r'not the same model|is empty'):
        loaded(written('vit', tmp_path, **odd), 'vit', (48, 80, 3))


def test_weights_with_layer_scale_say_which_field_they_need(tmp_path: pathlib.Path) -> None:
    path = written('vit-layer-scale', tmp_path)
    model = models.create('vit', num_classes=10, patch=14, **SMALL)
    shape = (56, 28, 3)
    with pytest.raises(errors.UserError, match=r'Set config\.model\.layer_scale=True'):
        pretrained.load(
            str(path),
            model_name='vit',
            model=model,
            variables=initial(model, shape),
            image_shape=shape,
        )


def test_gray_models_of_weights_with_several_scales_are_refused(tmp_path: pathlib.Path) -> None:
    path = written('resnet18', tmp_path)
    with pytest.raises(errors.UserError, match='Feed it gray images as three channels'):
        loaded(path, 'resnet18', (67, 54, 1))


@pytest.mark.parametrize('case', ['resnet18', 'densenet121', 'convnext_tiny', 'vit-layer-scale'])
def test_what_is_exported_has_timms_names_and_loads_back(case: str, tmp_path: pathlib.Path) -> None:
    shape = (*read(case)['size'], 3)
    model, variables, _ = loaded(written(case, tmp_path), case, shape)
    path = tmp_path / 'exported.safetensors'
    scale = {'mean': (0.1, 0.2, 0.3), 'std': (0.4, 0.5, 0.6)}
    name = CASES[case][0]
    export.save(path, model_name=name, model=model, variables=variables, image_shape=shape, **scale)
    assert load_file(path).keys() == {
        name for name in read(case)['shapes'] if not name.endswith('num_batches_tracked')
    }
    expected = pretrained.expects(str(path), model_name=name)
    assert (expected.mean, expected.std) == (scale['mean'], scale['std'])
    _, again, report = loaded(path, case, shape)
    jax.tree.map(np.testing.assert_array_equal, variables, again)
    assert not report.new and not report.dropped


def test_models_that_timm_lacks_are_named() -> None:
    model = models.create('cnn', num_classes=2)
    with pytest.raises(errors.UserError, match="has a model like 'cnn'; those that they have"):
        export.of('cnn', model, (28, 28, 1))
    narrow = models.create('resnet18', num_classes=2, width=8)
    with pytest.raises(errors.UserError, match='no resnet18 of width 8'):
        export.of('resnet18', narrow, (28, 28, 1))


def test_cubic_resizing_keeps_a_constant_and_copies_at_the_same_size() -> None:
    for old, new in ((14, 4), (14, 37), (5, 5)):
        np.testing.assert_allclose(fit.cubic(old, new).sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(fit.cubic(5, 5), np.eye(5), atol=1e-12)


def test_an_exported_grid_that_is_no_square_is_resampled_as_what_it_is(
    tmp_path: pathlib.Path,
) -> None:
    model, variables, _ = loaded(written('vit', tmp_path), 'vit', (48, 80, 3))
    path = tmp_path / 'ours.safetensors'
    export.save(path, model_name='vit', model=model, variables=variables, image_shape=(48, 80, 3))
    _, found, report = loaded(path, 'vit', (80, 48, 3))
    old = variables['params']['pos_embed']
    assert report.resampled == {'pos_embed': (old.shape, old.shape)}
    expected = fit.positions(old, (3, 5), (5, 3))
    np.testing.assert_array_equal(found['params']['pos_embed'], expected)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float64'])
def test_other_precisions_become_float32(dtype: str, tmp_path: pathlib.Path) -> None:
    path = written('vit', tmp_path)
    tensors = {name: tensor.astype(jnp.dtype(dtype)) for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    _, variables, _ = loaded(path, 'vit', (48, 80, 3))
    found = variables['params']['cls_token']
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, tensors['cls_token'].astype(np.float32))


# Where the file comes from.


def test_a_pickle_is_refused_with_the_line_that_converts_it(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UserError) as caught:
        hub.find(str(tmp_path / 'net.pth'))
    assert 'weights_only=True' in str(caught.value) and 'net.safetensors' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_name_is_looked_for_in_the_folder_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written('vit', tmp_path)
    monkeypatch.setenv(hub.FOLDER, str(tmp_path))
    for source in (f'timm/{path.stem}', path.stem):
        assert hub.find(source) == path
    digest = files.sha256(path)
    assert hub.find(path.stem, sha256=digest.upper()) == path
    with pytest.raises(errors.UserError, match=f'its SHA-256 is {digest}, not abc'):
        hub.find(path.stem, sha256='abc')
    monkeypatch.setattr(hub, '_in_reach', lambda address: False)
    with pytest.raises(errors.UserError, match='cannot be downloaded'):
        hub.find(path.stem, revision='1234')  # the folder does not know of what revision a file is
    assert hub.find(path.stem, revision='1234', sha256=digest) == path


def test_weights_that_the_pages_name_are_pinned(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[str | None] = []
    other = tmp_path / 'model.safetensors'
    other.write_bytes(b'other weights')

    def fetch(repository: str, name: str, *, revision: str | None, **_: Any) -> str:
        asked.append(revision)
        return str(other)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fetch)
    monkeypatch.delenv(hub.FOLDER, raising=False)
    for source, (commit, digest) in hub.PINNED.items():
        with pytest.raises(errors.UserError, match=f'is another file .* not {digest}'):
            hub.find(source)
        assert asked.pop() == (commit or None)
        if commit:
            with pytest.raises(errors.UserError, match=f'is another file .* not {digest}'):
                hub.find(source, revision=commit)
            assert asked.pop() == commit
    assert hub.find('resnet18.tv_in1k', revision='main') == other
    assert asked == ['main']
    named = {
        config.load(f'configs/{page}_pretrained.py').pretrained.source
        for page in ('resnet18', 'resnet50', 'vit')
    }
    assert named == {name.removeprefix('timm/') for name in hub.PINNED}


def test_offline_it_says_which_file_goes_where(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    asked: list[Any] = []

    def fetch(*where: str, **how: Any) -> str:
        asked.append((where, how))
        raise LocalEntryNotFoundError('no network') if len(asked) > 1 else OfflineModeIsEnabled()

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fetch)
    monkeypatch.setattr(hub, '_in_reach', lambda address: True)
    monkeypatch.setenv(hub.FOLDER, str(tmp_path))
    name = 'resnet18.tv_in1k'
    url = f'https://huggingface.co/timm/{name}/resolve/abc/model.safetensors'
    for source in (name, f'timm/{name}'):
        with pytest.raises(errors.UserError) as caught:
            hub.find(source, revision='abc')
        assert f'put {url} as {tmp_path}/{name}.safetensors' in str(caught.value)
    how = {'revision': 'abc', 'token': False, 'local_files_only': False}
    assert asked[0] == ((f'timm/{name}', 'model.safetensors'), how)


def test_without_a_network_nothing_is_tried_again_and_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    for name in ('http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(hub.FOLDER, str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, 'ENDPOINT', 'https://no-such-host.invalid')

    def sleep(seconds: float) -> None:
        raise AssertionError('another try')

    monkeypatch.setattr(time, 'sleep', sleep)
    with pytest.raises(errors.UserError, match='timm/no_such_net cannot be downloaded'):
        hub.find('no_such_net')


def test_the_hubs_description_of_the_weights_is_believed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    path = written('vit', tmp_path).rename(tmp_path / 'model.safetensors')
    described = {'mean': [0.1] * 3, 'std': [0.2] * 3, 'input_size': [3, 384, 384]}
    text = json.dumps({'architecture': 'vit', 'pretrained_cfg': described})

    def fetch(repository: str, name: str, **_: Any) -> str:
        if name == 'config.json':
            (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, 'hf_hub_download', fetch)
    monkeypatch.delenv(hub.FOLDER, raising=False)
    expected = pretrained.expects('org/some_vit', model_name='vit')
    assert (expected.scale, expected.size) == ((0.1, 0.2), (384, 384))
    (tmp_path / 'config.json').write_text('{"mean": 3}')
    with pytest.raises(errors.UserError, match='does not describe weights as timm does'):
        pretrained.expects(str(path), model_name='vit')


@pytest.mark.parametrize('source', ['a b', '../x/y/z', 'https://huggingface.co/timm/x', ''])
def test_what_is_neither_a_file_nor_a_name_is_refused(source: str) -> None:
    with pytest.raises(errors.UserError, match='nor the name of weights on the Hugging Face hub'):
        hub.find(source)


def test_a_vit_of_unknown_scale_is_not_guessed(tmp_path: pathlib.Path) -> None:
    path = written('vit', tmp_path).rename(tmp_path / 'mine.safetensors')
    with pytest.raises(errors.UserError, match=r'as mine\.json'):
        pretrained.expects(str(path), model_name='vit')


def test_damaged_and_missing_files_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'vit_b_16.safetensors'
    with pytest.raises(errors.UserError, match='there is no file'):
        hub.find(str(path))
    path.write_bytes(b'\xff' * 100)
    with pytest.raises(errors.UserError, match='cannot be read as weights'):
        weights.read(path)
    save_file({'patch_embed.proj.weight': np.ones((128, 3, 0, 0), np.float32)}, path)
    with pytest.raises(errors.UserError, match=r'patch_embed\.proj\.weight is empty'):
        weights.read(path)


@pytest.mark.parametrize(
    'told', ['[' * 10**5, '{"mean": [0.5], "std": [0.5], "input_size": [3, 1e400, 1e400]}']
)
def test_a_description_that_tells_nothing_is_refused(tmp_path: pathlib.Path, told: str) -> None:
    path = tmp_path / 'vit.safetensors'
    save_file({'x': np.ones(1)}, path, {'pretrained_cfg': told})
    with pytest.raises(errors.UserError, match='does not describe weights as timm does'):
        pretrained.expects(str(path), model_name='vit')


def test_loading_needs_no_torch() -> None:
    code = (
        'import sys; import pneumo_jax.models.pretrained.export; '
        'sys.exit(any(name in sys.modules for name in ("torch", "pickle5", "timm")))'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_the_verb_tells_what_becomes_of_a_file(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written('resnet18', tmp_path)
    cli.main(['weights', str(path), '--config', 'configs/resnet18.py:28'])
    told = capsys.readouterr().out
    assert 'used       100 tensors' in told and 'new        params/fc/kernel (512, 2)' in told
    assert '(x / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)' in told
    with pytest.raises(errors.UserError, match='unknown argument'):
        cli.main(['weights', str(path), '--timm', 'x.safetensors', '--tim'])
    pin = ('--config.pretrained.source=x', '--config.pretrained.sha256=00')
    with pytest.raises(errors.UserError, match='is another file than asked for'):
        cli.main(['weights', str(path), '--config', 'configs/resnet18.py:28', *pin])


def test_the_verb_writes_a_runs_weights_for_timm(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {'name': 'vit', 'dtype': 'float32', **SMALL}
    _, variables, _ = loaded(written('vit', tmp_path), 'vit', (48, 80, 3), classes=2)
    preprocess = {'height': 48, 'width': 80, 'channels': 1, 'mean': [0.1, 0.2, 0.3], 'std': 0.5}
    meta = {'model': fields, 'classes': ['a', 'b'], 'preprocess': preprocess, 'views': ''}
    weights.save(tmp_path / 'model.safetensors', variables, meta)
    config = {'model': fields, 'data': {}, 'seed': 0, 'seeds': 1}
    (tmp_path / 'run.json').write_text(json.dumps({'format': 1, 'config': config}))
    (tmp_path / 'results.json').write_text('{}')
    path = tmp_path / 'timm.safetensors'
    cli.main(['weights', str(tmp_path), '--timm', str(path)])
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("timm.create_model('vit_tiny_patch16_224', num_classes=2, in_chans=3")
    assert 'img_size=(48, 80), patch_size=16, embed_dim=96, depth=2, num_heads=3' in line
    expected = pretrained.expects(str(path), model_name='vit')
    assert expected.scale == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    assert load_file(path)['head.weight'].shape == (2, 96)
    with pytest.raises(errors.UserError, match='cannot be written: No such file or directory'):
        cli.main(['weights', str(tmp_path), '--timm', str(tmp_path / 'nowhere/x.safetensors')])


# Real weights, where they are.


@pytest.fixture(scope='module')
def real() -> pathlib.Path:
    folder = os.environ.get(hub.FOLDER, '')
    path = pathlib.Path(folder) / 'vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors'
    if not folder or not path.exists() or not path.with_name('vit_tiny_golden.npz').exists():
        pytest.skip(f'no {path.name} with vit_tiny_golden.npz: set {hub.FOLDER} to their folder')
    return path


def test_photographs_get_timms_logits_and_their_labels(real: pathlib.Path) -> None:
    golden = np.load(real.with_name('vit_tiny_golden.npz'), allow_pickle=False)
    source = f'timm/{real.stem}'
    expected = pretrained.expects(source, model_name='vit')
    preprocess = Preprocess(224, 224, 3, *expected.scale)
    model = models.create('vit', num_classes=1000)
    variables, report = pretrained.load(
        source,
        model_name='vit',
        model=model,
        variables=initial(model, preprocess.fed_shape),
        image_shape=preprocess.fed_shape,
    )
    assert not report.new and not report.dropped and not report.resampled
    found = logits(model, variables, preprocess(golden['images']))
    np.testing.assert_allclose(found, golden['logits'], rtol=0, atol=1e-4)
    # A cat (tabby, tiger cat or Egyptian cat) and an espresso of ImageNet's classes.
    assert found[0].argmax() in (281, 282, 285) and found[1].argmax() == 967
