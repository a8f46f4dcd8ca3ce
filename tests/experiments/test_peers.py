"""The torch side of the speed comparison; what needs torch is tested where torch is installed."""

import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import config, models

ROOT = pathlib.Path(__file__).parents[2]
SPEED = ROOT / 'experiments' / 'speed'
PAGES = ('mlp', 'cnn', 'cnn_bn_dropout', 'resnet18', 'resnet50', 'se_resnet18', 'se_resnet50')
PAGES += ('densenet121', 'convnext_tiny', 'vit', 'vit_small', 'vit_base')
CASE: dict[str, Any] = {
    'variant': 'torch eager',
    'model': {'name': 'cnn', 'dtype': 'float32', 'features': [4, 8], 'hidden': 8},
    'size': 28,
    'channels': 1,
    'classes': 2,
    'batch': 8,
    'data': '',
    'limit': 28,
}
# One channel, two classes, at (28, 64, 224) px; the ViT as its page has it at 28 px.
COUNTS = {
    'mlp': (100_738, 524_674, 6_422_914),
    'cnn': (205_890, 1_053_762, 12_850_242),
    'cnn_bn_dropout': (822_498, 4_213_986, 51_399_906),
    'resnet18': (11_171_266,) * 3,
    'resnet50': (23_505_858,) * 3,
    'se_resnet18': (11_260_346,) * 3,
    'se_resnet50': (26_036_850,) * 3,
    'densenet121': (6_949_634,) * 3,
    'convnext_tiny': (27_818_594,) * 3,
    'vit': (1_198_850, 5_364_290, 5_426_498),
}
SIZES = (28, 64, 224)
VIT = {28: {'patch': 4, 'width': 128, 'depth': 6, 'heads': 4}, 64: {'patch': 8}, 224: {}}

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec('torch') is None,
    reason='no torch here: experiments/speed/requirements.txt',
)


def fields(name: str, size: int) -> dict[str, Any]:
    return VIT[size] if name == 'vit' else {}


def work(
    case: dict[str, Any], *requests: dict[str, Any], **extra: str
) -> tuple[list[dict[str, Any]], int]:
    """(what a worker says of `case` and answers to `requests`, its exit status)."""
    done = subprocess.run(
        [sys.executable, SPEED / 'peers.py', json.dumps(case)],
        input=''.join(json.dumps(request) + '\n' for request in requests),
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


@pytest.fixture
def peers() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location('peers', SPEED / 'peers.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What tells the fields that torch's models are built with."""
    monkeypatch.syspath_prepend(SPEED)
    return importlib.import_module('torch_side.fields').taken


@pytest.fixture
def side(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """torch_side.measure, with the models beside it."""
    monkeypatch.syspath_prepend(SPEED)
    return importlib.import_module('torch_side.measure')


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'variant': 'torch fast'}, ["'torch fast'", 'torch notebook']),
        ({'model': {'name': 'cnn', 'dtype': 'float16'}}, ["'float16'", 'bfloat16']),
        ({'seeds': 2}, ['seeds=2']),
        ({'processes': 4}, ['processes=4']),
        ({'devices': 2}, ['devices=2']),
        ({'variant': 'torch notebook', 'channels': 3}, ['one channel', 'on 3']),
        ({'variant': 'torch notebook', 'model': {'dtype': 'bfloat16'}}, ['bfloat16']),
        ({'batch': 29}, ['batch=29', '28 images']),
        ({'data': 'gray.npz'}, ['gray.npz', '(14, 14, 1)', '(28, 28, 1)']),
    ],
)
def test_a_case_that_cannot_be_is_one_line(
    change: dict[str, Any],
    words: list[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    npz: dict[str, Any] = {}
    for split in ('train', 'val'):
        npz[f'{split}_images'] = np.zeros((30, 14, 14), np.uint8)
        npz[f'{split}_labels'] = np.zeros((30, 1), np.uint8)
    np.savez('gray.npz', **npz)
    said, status = work({**CASE, **change}, {'measure': 'memory'})
    assert [list(line) for line in said] == [['error']]
    assert status == 0
    assert all(word in said[0]['error'] for word in words), said


def test_a_machine_without_torch_is_told_what_to_install(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'sitecustomize.py').write_text('import sys\nsys.modules["torch"] = None\n')
    said, _ = work(CASE, PYTHONPATH=str(tmp_path))
    assert len(said) == 1
    assert 'pip install -r experiments/speed/requirements.txt' in said[0]['error']


def test_every_request_is_answered_by_a_line(
    peers: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(peer: list[int], request: dict[str, Any]) -> dict[str, Any]:
        if request['measure'] == 'large':
            raise RuntimeError('DefaultCPUAllocator: not enough memory\nand a trace')
        return {'images': peer[0]}

    side: Any = types.ModuleType('torch_side.measure')
    side.start, side.answer = lambda case, arrays: ([case['batch']], {'parameters': 1}), answer
    monkeypatch.setitem(sys.modules, 'torch_side', types.ModuleType('torch_side'))
    monkeypatch.setitem(sys.modules, 'torch_side.measure', side)
    monkeypatch.setattr(sys, 'argv', ['peers.py', json.dumps(CASE)])
    monkeypatch.setattr(sys, 'stdin', io.StringIO('{"measure": "large"}\n{"measure": "step"}\n'))
    monkeypatch.setenv('TORCHINDUCTOR_FORCE_DISABLE_CACHES', '1')
    said = io.StringIO()
    monkeypatch.setattr(peers, 'take_stdout', lambda: said)
    peers.main()
    ready, failed, answered = map(json.loads, said.getvalue().splitlines())
    assert ready == {'ready': {'parameters': 1}}
    assert failed['out_of_memory']
    assert failed['error'] == 'RuntimeError: DefaultCPUAllocator: not enough memory'
    assert answered == {'images': 8}


def test_drawn_data_are_as_large_as_the_real_ones(peers: types.ModuleType) -> None:
    whole = peers.load({key: value for key, value in CASE.items() if key != 'limit'})
    assert whole['train_images'].shape == (4708, 28, 28, 1)
    assert whole['val_labels'].shape == (524,)
    part = peers.load({**CASE, 'size': 224, 'channels': 3, 'limit': 64})
    assert part['train_images'].shape == (64, 224, 224, 3)
    assert part['train_images'].dtype == np.uint8
    assert len(part['val_images']) == 7  # a ninth, as of all


def test_a_medmnist_file_is_read(peers: types.ModuleType, real_data: pathlib.Path) -> None:
    arrays = peers.load({**CASE, 'data': str(real_data / 'pneumoniamnist.npz'), 'limit': 4708})
    assert arrays['train_images'].shape == (4708, 28, 28, 1)
    assert arrays['val_images'].shape == (524, 28, 28, 1)
    assert np.bincount(arrays['train_labels']).tolist() == [1214, 3494]


def test_every_model_is_in_the_table() -> None:
    assert set(COUNTS) == set(models.MODELS) - {'resnet8'}, 'which no one else has'


@pytest.mark.parametrize('name', COUNTS)
def test_ours_have_the_parameters_of_the_table(name: str) -> None:
    for size, count in zip(SIZES, COUNTS[name], strict=True):
        model = models.create(name, num_classes=2, **fields(name, size))
        image = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
        init = jax.eval_shape(
            lambda x, model=model: model.init(jax.random.key(0), x, train=False), image
        )
        assert sum(leaf.size for leaf in jax.tree.leaves(init['params'])) == count


@needs_torch
@pytest.mark.parametrize('name', COUNTS)
def test_torchs_have_the_parameters_of_the_table(name: str, side: Any) -> None:
    import torch

    for size, count in zip(SIZES, COUNTS[name], strict=True):
        with torch.device('meta'):
            model = side.models.build(
                {'name': name, 'dtype': 'float32', **fields(name, size)},
                size=size,
                channels=1,
                classes=2,
            )
            assert model(torch.zeros(2, 1, size, size)).shape == (2, 2)
        assert sum(parameter.numel() for parameter in model.parameters()) == count


@needs_torch
@pytest.mark.parametrize('size', [17, 28, 45, 48])
def test_torchs_take_odd_images_too(size: int, side: Any) -> None:
    import torch

    for name in ('densenet121', 'convnext_tiny', 'vit'):
        with torch.device('meta'):
            model = side.models.build({'name': name}, size=size, channels=3, classes=5)
            assert model(torch.zeros(2, 3, size, size)).shape == (2, 5)


@pytest.mark.parametrize('page', PAGES)
@pytest.mark.parametrize('form', ['28', '224'])
def test_the_fields_of_every_page_are_taken(page: str, form: str, taken: Any) -> None:
    model = config.to_json(config.load(f'{ROOT}/configs/{page}.py:{form}'))['model']
    assert taken(model).keys() <= model.keys() - {'name', 'dtype', 'drop_path', 'layer_scale'}


@needs_torch
@pytest.mark.parametrize('page', PAGES)
def test_torch_has_the_model_of_every_page(page: str, side: Any) -> None:
    import torch

    model = config.to_json(config.load(f'{ROOT}/configs/{page}.py:28'))['model']
    with torch.device('meta'):
        side.models.build(model, size=28, channels=1, classes=2)


@pytest.mark.parametrize(
    ('model', 'word'),
    [
        ({'name': 'resnet18', 'width': 32}, "'width': 32"),
        ({'name': 'convnext_tiny', 'blocks': [1, 1]}, '[1, 1]'),
        ({'name': 'vit', 'drop_path': 0.1}, 'drop_path=0.0, not 0.1'),
        ({'name': 'vit', 'layer_scale': True}, 'layer_scale=False, not True'),
    ],
)
def test_another_form_than_the_compared_one_is_refused(
    model: dict[str, Any], word: str, taken: Any
) -> None:
    with pytest.raises(ValueError, match=re.escape(word)):
        taken(model)


@needs_torch
def test_another_model_is_refused(side: Any) -> None:
    with pytest.raises(ValueError, match='resnet81'):
        side.models.build({'name': 'resnet81'}, size=28, channels=1, classes=2)


@needs_torch
def test_flops_are_those_of_the_layers(side: Any) -> None:
    case = {**CASE, 'model': {'name': 'mlp', 'hidden': 10}}
    # The pixels need no gradient: twice forward in the first layer, three times in the second.
    assert side.flops_per_step(case) == 8 * 2 * (2 * 784 * 10 + 3 * 10 * 2)
    case['model'] = {'name': 'convnext_tiny'}
    # 4.46 G multiplications and additions at 224 px and three channels, as torchvision counts them.
    large = side.flops_per_step({**case, 'size': 224, 'channels': 3, 'batch': 1})
    assert large / 3 == pytest.approx(2 * 4.46e9, rel=0.01)


@needs_torch
@pytest.mark.parametrize(
    ('variant', 'dtype', 'epoch'),
    [
        ('torch eager', 'float32', 24),  # whole batches
        ('torch eager', 'bfloat16', 24),
        ('torch compile', 'float32', 24),
        ('torch notebook', 'float32', 28),  # every image
    ],
)
def test_a_worker_measures(variant: str, dtype: str, epoch: int) -> None:
    case = {**CASE, 'variant': variant, 'model': {**CASE['model'], 'dtype': dtype}}
    measures = ('step', 'forward', 'input', 'epoch', 'memory', 'colour')
    said, status = work(case, *({'measure': what, 'seconds': 0} for what in measures))
    (ready,) = said[0].values()
    step, forward, given, whole, memory, unknown = said[1:]
    assert status == 0
    assert ready['parameters'] == 4 * 10 + 8 * 37 + (8 * 49 + 1) * 8 + 9 * 2
    assert (ready['compile_s'] > 0) == (variant == 'torch compile')
    assert [line['images'] for line in (step, forward, given, whole)] == [8, 8, 8, epoch]
    assert all(line['seconds'] > 0 for line in (step, forward, given, whole))
    assert memory['peak_bytes'] > 2**20
    assert "'colour'" in unknown['error']
