"""pneumo_jax's models as torch has them: torchvision's and timm's own, the small ones by hand."""

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch_side.fields import taken

# width, depth, heads
VIT = {'Ti': (192, 12, 3), 'S': (384, 12, 6), 'B': (768, 12, 12)}


def of_case(case: dict[str, Any]) -> nn.Module:
    """The model of a worker's case."""
    shape = {field: case[field] for field in ('size', 'channels', 'classes')}
    return build(case['model'], **shape)


def build(model: dict[str, Any], *, size: int, channels: int, classes: int) -> nn.Module:
    """The untrained `model` (the fields of config.model) for images of [channels, size, size].

    Raises:
        ValueError: no such model, or a form of it that torch's own does not have.
    """
    name = model['name']
    if name not in BUILDERS:
        raise ValueError(f'unknown model {name!r}: {", ".join(BUILDERS)} are there.')
    fields = taken(model)
    return BUILDERS[name](size=size, channels=channels, classes=classes, **fields)


@functools.cache
def torchvision() -> ModuleType:
    """torchvision, also where its build and torch's do not fit (its CUDA build, a CPU torch).

    Its compiled operators cannot be loaded there, and its import fails on the two it describes;
    no model here uses them, so that it is enough to name them.
    """
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library('torchvision', 'DEF')
        for name in ('nms', 'qnms'):
            library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        import torchvision

        torchvision.named_here = library  # the names go when it does
    return torchvision


def mlp(*, size: int, channels: int, classes: int, hidden: int = 128) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *head(size * size * channels, hidden, classes))


def cnn(
    *,
    size: int,
    channels: int,
    classes: int,
    features: Sequence[int] = (16, 32),
    kernel: int = 3,
    hidden: int = 128,
) -> nn.Module:
    blocks, width = [], channels
    for out in features:
        conv = nn.Conv2d(width, out, kernel, padding=kernel // 2)
        blocks += [conv, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        width, size = out, size // 2
    return nn.Sequential(*blocks, nn.Flatten(), *head(width * size**2, hidden, classes))


def cnn_bn_dropout(
    *,
    size: int,
    channels: int,
    classes: int,
    features: Sequence[int] = (32, 64),
    kernel: int = 3,
    hidden: int = 256,
    dropout: float = 0.5,
) -> nn.Module:
    blocks, width = [], channels
    for out in features:
        conv = nn.Conv2d(width, out, kernel, padding=kernel // 2, bias=False)
        blocks += [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        width, size = out, size // 2
    return nn.Sequential(*blocks, nn.Flatten(), *head(width * size**2, hidden, classes, dropout))


def head(width: int, hidden: int, classes: int, dropout: float | None = None) -> list[nn.Module]:
    drop = [] if dropout is None else [nn.Dropout(dropout)]
    return [nn.Linear(width, hidden), nn.ReLU(inplace=True), *drop, nn.Linear(hidden, classes)]


def resnet(
    depth: int, *, size: int, channels: int, classes: int, excite: bool = False
) -> nn.Module:
    """torchvision's. timm's legacy SE-ResNet-50 strides in another convolution than ours."""
    net = getattr(torchvision().models, f'resnet{depth}')(num_classes=classes)
    net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    last = 'bn2' if depth == 18 else 'bn3'
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4) if excite else ():
        for block in stage:
            width = getattr(block, last).num_features
            gate = torchvision().ops.SqueezeExcitation(width, width // 16)
            setattr(block, last, nn.Sequential(getattr(block, last), gate))
    return net


def densenet121(*, size: int, channels: int, classes: int) -> nn.Module:
    """torchvision's; a transition that sees one pixel keeps it."""
    net = torchvision().models.densenet121(num_classes=classes)
    net.features.conv0 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    side = -(-size // 4)
    for i in (1, 2, 3):
        getattr(net.features, f'transition{i}').pool.ceil_mode = side == 1
        side = max(1, side // 2)
    return net


def convnext_tiny(*, size: int, channels: int, classes: int) -> nn.Module:
    """torchvision's without stochastic depth; a map of one pixel is zero-padded to be halved."""
    net = torchvision().models.convnext_tiny(num_classes=classes, stochastic_depth_prob=0.0)
    net.features[0][0] = nn.Conv2d(channels, 96, 4, 4)
    side = size // 4
    for downsample in (net.features[2], net.features[4], net.features[6]):
        if side == 1:
            downsample.insert(1, nn.ZeroPad2d((0, 1, 0, 1)))
        side = max(1, side // 2)
    return net


def vit(
    *,
    size: int,
    channels: int,
    classes: int,
    variant: str = 'Ti',
    patch: int = 16,
    width: int = 0,
    depth: int = 0,
    heads: int = 0,
    dropout: float = 0.0,
) -> nn.Module:
    torchvision()  # timm imports it
    from timm.models.vision_transformer import VisionTransformer

    own, extra = VIT[variant], -size % patch
    net = VisionTransformer(
        img_size=size + extra,
        patch_size=patch,
        in_chans=channels,
        num_classes=classes,
        embed_dim=width or own[0],
        depth=depth or own[1],
        num_heads=heads or own[2],
        pos_drop_rate=dropout,
        proj_drop_rate=dropout,
    )
    return nn.Sequential(nn.ZeroPad2d((0, extra, 0, extra)), net) if extra else net


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    'mlp': mlp,
    'cnn': cnn,
    'cnn_bn_dropout': cnn_bn_dropout,
    'resnet18': functools.partial(resnet, 18),
    'resnet50': functools.partial(resnet, 50),
    'se_resnet18': functools.partial(resnet, 18, excite=True),
    'se_resnet50': functools.partial(resnet, 50, excite=True),
    'densenet121': densenet121,
    'convnext_tiny': convnext_tiny,
    'vit': vit,
}
