"""Against torchvision's and timm's own code, where they are installed.

This project does not need torch. To run these tests, in an environment that has both:
`pip install -e . pytest -r experiments/speed/requirements.txt && pytest -n 0 THIS_FILE`.
"""

import pathlib
import runpy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
timm = pytest.importorskip('timm', reason='timm is not installed')
torchvision = pytest.importorskip('torchvision', reason='torchvision is not installed')

from safetensors.torch import save_file  # noqa: E402

from pneumo_jax import models  # noqa: E402
from pneumo_jax.models import pretrained  # noqa: E402
from pneumo_jax.models.pretrained import export, fit  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent.parent
draw = runpy.run_path(str(ROOT / 'tests/golden/draw.py'))
ODD = (67, 54)

# Theirs, ours with its fields, and the image's size.
CASES: dict[str, tuple[Any, str, dict[str, Any], tuple[int, int]]] = {
    'torchvision resnet18': (torchvision.models.resnet18, 'resnet18', {}, ODD),
    'timm resnet50': ('resnet50', 'resnet50', {}, ODD),
    'timm seresnet50': ('seresnet50', 'se_resnet50', {}, ODD),
    'torchvision densenet121': (torchvision.models.densenet121, 'densenet121', {}, ODD),
    'timm convnext_tiny': ('convnext_tiny', 'convnext_tiny', {}, ODD),
    'torchvision convnext_tiny': (torchvision.models.convnext_tiny, 'convnext_tiny', {}, ODD),
    'timm vit_tiny': ('vit_tiny_patch16_224', 'vit', {}, (48, 80)),
    'timm vit_small': ('vit_small_patch16_224', 'vit', {'variant': 'S'}, (48, 80)),
    'timm vit_base': ('vit_base_patch16_224', 'vit', {'variant': 'B'}, (48, 80)),
    'torchvision vit_b_16': (torchvision.models.vit_b_16, 'vit', {'variant': 'B'}, (48, 48)),
    'timm dinov2': (
        'vit_small_patch14_dinov2',
        'vit',
        {'variant': 'S', 'patch': 14, 'layer_scale': True},
        (42, 70),
    ),
}


def theirs(make: Any, size: tuple[int, int]) -> Any:
    """Their model with drawn weights, for 10 classes."""
    if isinstance(make, str):
        fields = {'img_size': size} if make.startswith('vit') else {}
        model = timm.create_model(make, num_classes=10, **fields)
    else:
        fields = {'image_size': size[0]} if make.__name__.startswith('vit') else {}
        model = make(num_classes=10, **fields)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    drawn = draw['tensors'](shapes)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in drawn.items()})
    return model.eval()


def asked(model: Any, fed: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(fed.transpose(0, 3, 1, 2).copy())).numpy()


def blank(model: Any, shape: tuple[int, int, int]) -> Any:
    shapes = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, *shape)), train=False), jax.random.key(0)
    )
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def logits(model: Any, variables: Any, fed: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, fed))


@pytest.mark.parametrize('case', CASES)
def test_their_file_in_our_model_and_ours_in_timms(case: str, tmp_path: pathlib.Path) -> None:
    make, name, fields, size = CASES[case]
    source = tmp_path / 'theirs.safetensors'
    original = theirs(make, size)
    save_file(original.state_dict(), source)
    fed = draw['fed'](draw['images'](*size), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    golden = asked(original, fed)
    assert golden.std() > 0.2

    model = models.create(name, num_classes=10, **fields)
    shape = (*size, 3)
    variables, report = pretrained.load(
        str(source),
        model_name=name,
        model=model,
        variables=blank(model, shape),
        image_shape=shape,
    )
    assert not report.new and not report.resampled
    np.testing.assert_allclose(logits(model, variables, fed), golden, rtol=0, atol=1e-4)

    path = tmp_path / 'ours.safetensors'
    twin = export.save(path, model_name=name, model=model, variables=variables, image_shape=shape)
    again = timm.create_model(twin.name, checkpoint_path=str(path), **twin.fields).eval()
    np.testing.assert_allclose(asked(again, fed), golden, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'fields', 'shape'),
    [
        ('vit', {'patch': 4, 'width': 96, 'depth': 2, 'heads': 3}, (28, 28, 1)),
        ('vit', {'patch': 16, 'width': 96, 'depth': 2, 'heads': 3}, (28, 40, 1)),
        ('resnet18', {'blocks': (1, 1, 1, 1)}, (28, 28, 1)),
        # timm's cannot pool the maps of smaller ones than 32 px.
        ('densenet121', {'blocks': (2, 2, 2, 2), 'growth': 16}, (40, 36, 1)),
        ('convnext_tiny', {'blocks': (1, 1, 2, 1), 'dims': (32, 64, 96, 128)}, (64, 64, 1)),
    ],
)
def test_gray_models_of_any_size_load_in_timm(
    name: str, fields: dict[str, Any], shape: tuple[int, int, int], tmp_path: pathlib.Path
) -> None:
    model = models.create(name, num_classes=2, **fields)
    variables = model.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)
    path = tmp_path / 'ours.safetensors'
    twin = export.save(path, model_name=name, model=model, variables=variables, image_shape=shape)
    again = eval(twin.call(path), {'timm': timm}).eval()
    fed = draw['fed'](draw['images'](*shape), (0.5,), (0.5,))
    np.testing.assert_allclose(asked(again, fed), logits(model, variables, fed), rtol=0, atol=1e-4)


def test_cubic_resizing_is_torchs() -> None:
    image = np.random.default_rng(0).standard_normal((1, 1, 14, 14)).astype(np.float32)
    for size in ((4, 9), (37, 20), (14, 7)):
        golden = torch.nn.functional.interpolate(
            torch.from_numpy(image), size=size, mode='bicubic', antialias=True
        ).numpy()
        found = fit.cubic(14, size[0]) @ image[0, 0] @ fit.cubic(14, size[1]).T
        np.testing.assert_allclose(found, golden[0, 0], atol=1e-5)


def test_running_statistics_move_as_torchs(tmp_path: pathlib.Path) -> None:
    """Torch divides the variance by n - 1, we by n as the normalisation itself does."""
    original = theirs('resnet18', ODD)
    source = tmp_path / 'theirs.safetensors'
    save_file(original.state_dict(), source)
    model = models.create('resnet18', num_classes=10)
    shape = (*ODD, 3)
    variables, _ = pretrained.load(
        str(source),
        model_name='resnet18',
        model=model,
        variables=blank(model, shape),
        image_shape=shape,
    )
    fed = draw['fed'](draw['images'](*ODD), (0.5,), (0.5,))
    asked(original.train(), fed)
    _, updates = jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=['batch_stats']))(
        variables, fed
    )
    found, n = updates['batch_stats']['bn1'], 2 * 34 * 27
    np.testing.assert_allclose(found['mean'], original.bn1.running_mean, atol=1e-5)
    old = variables['batch_stats']['bn1']['var']
    unbiased = 0.9 * old + (found['var'] - 0.9 * old) * n / (n - 1)
    np.testing.assert_allclose(unbiased, original.bn1.running_var, rtol=1e-5)
