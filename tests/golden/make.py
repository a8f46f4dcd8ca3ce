"""Write the golden logits: torchvision's and timm's own code, with the weights of `draw.py`.

It needs torch, which this project does not: `python tests/golden/make.py` in an environment with
`experiments/speed/requirements.txt`. A case is one JSON: the names and shapes of the file that the
library would write, what the images were, and the logits.
"""

import json
import pathlib
from typing import Any

import draw
import numpy as np
import timm
import torch
import torchvision

HERE = pathlib.Path(__file__).parent
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)
CLASSES = 10
SMALL = {'depth': 2, 'embed_dim': 96, 'num_heads': 3, 'num_classes': CLASSES}
# No multiple of 32: a padding that is not torch's would be seen.
ODD = (67, 54)


def torchvision_vit() -> torch.nn.Module:
    return torchvision.models.VisionTransformer(
        image_size=48,
        patch_size=16,
        num_layers=2,
        num_heads=3,
        hidden_dim=96,
        mlp_dim=384,
        num_classes=CLASSES,
    )


def timm_vit(**fields: Any) -> torch.nn.Module:
    return timm.create_model('vit_tiny_patch16_224', **SMALL, **fields)


def timm_dinov2(**fields: Any) -> torch.nn.Module:
    return timm.create_model('vit_small_patch14_dinov2', **SMALL, init_values=1e-5, **fields)


def resampled(model: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As timm itself loads a ViT's weights into another size of image or patch."""
    return timm.models.vision_transformer.checkpoint_filter_fn(
        tensors, model, interpolation='bicubic', antialias=True
    )


# Case: (the model that the file is of, the one that is asked, image size, scale).
CASES: dict[str, tuple[Any, Any, tuple[int, int], Any]] = {
    'resnet18': (torchvision.models.resnet18, None, ODD, IMAGENET),
    'resnet50': (torchvision.models.resnet50, None, ODD, IMAGENET),
    'densenet121': (torchvision.models.densenet121, None, ODD, IMAGENET),
    'convnext_tiny': (
        lambda **fields: timm.create_model('convnext_tiny', **fields),
        None,
        ODD,
        IMAGENET,
    ),
    'convnext_tiny-torchvision': (torchvision.models.convnext_tiny, None, ODD, IMAGENET),
    'vit': (lambda **_: timm_vit(img_size=(48, 80)), None, (48, 80), HALF),
    'vit-torchvision': (lambda **_: torchvision_vit(), None, (48, 48), IMAGENET),
    'vit-resampled': (
        lambda **_: timm_vit(img_size=112),
        lambda: timm_vit(img_size=(80, 160)),
        (80, 160),
        HALF,
    ),
    'vit-enlarged': (
        lambda **_: timm_vit(img_size=48),
        lambda: timm_vit(img_size=(40, 56), patch_size=8),
        (40, 56),
        HALF,
    ),
    'vit-layer-scale': (
        lambda **_: timm_dinov2(img_size=70),
        lambda: timm_dinov2(img_size=(56, 28)),
        (56, 28),
        IMAGENET,
    ),
}


def logits(model: torch.nn.Module, images: np.ndarray, scale: Any) -> list[list[float]]:
    fed = torch.from_numpy(draw.fed(images, *scale).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        found = model.eval()(fed).double().numpy()
    assert 0.2 < found.std() < 10, found.std()
    return np.round(found, 7).tolist()


def case(name: str) -> dict[str, Any]:
    make, asked, size, scale = CASES[name]
    model = make(num_classes=CLASSES)
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    tensors = {key: torch.from_numpy(v) for key, v in draw.tensors(shapes).items()}
    if asked:
        model = asked()
        tensors = resampled(model, tensors)
    model.load_state_dict(tensors)
    gray = draw.images(*size, channels=1)
    return {
        'versions': {lib.__name__: lib.__version__ for lib in (torch, torchvision, timm)},
        'size': size,
        'mean': scale[0],
        'std': scale[1],
        'shapes': shapes,
        'logits': logits(model, draw.images(*size), scale),
        'gray_logits': logits(model, gray.repeat(3, axis=3), scale),
    }


if __name__ == '__main__':
    for name in CASES:
        (HERE / f'{name}.json').write_text(json.dumps(case(name), separators=(',', ':')) + '\n')
        print(name)
