"""What torchvision and timm call the tensors of our models.

A table has an entry for every module, and for every parameter that they do not call as its module
with 'weight', 'bias', 'running_mean' or 'running_var' behind it. Letters in braces are numbers.
"""

import re
from collections.abc import Iterable

from pneumo_jax import errors

Naming = dict[str, str]

LEAVES = {'kernel': 'weight', 'scale': 'weight', 'mean': 'running_mean', 'var': 'running_var'}

# Torch counts batches for a momentum that is not used here; a mask token serves self-supervised
# training alone.
DROPPED = re.compile(r'(.+\.)?num_batches_tracked|mask_token')

RESNET: Naming = {
    'conv1': 'conv1',
    'bn1': 'bn1',
    'layer{s}_{b}/conv{n}': 'layer{s}.{b}.conv{n}',
    'layer{s}_{b}/bn{n}': 'layer{s}.{b}.bn{n}',
    'layer{s}_{b}/downsample_{n}': 'layer{s}.{b}.downsample.{n}',
    'fc': 'fc',
}
SE_RESNET: Naming = RESNET | {'layer{s}_{b}/se_module/fc{n}': 'layer{s}.{b}.se.fc{n}'}
DENSENET: Naming = {
    'features_conv0': 'features.conv0',
    'features_norm{n}': 'features.norm{n}',
    'features_denseblock{b}_denselayer{i}/norm{n}': 'features.denseblock{b}.denselayer{i}.norm{n}',
    'features_denseblock{b}_denselayer{i}/conv{n}': 'features.denseblock{b}.denselayer{i}.conv{n}',
    'features_transition{b}/norm': 'features.transition{b}.norm',
    'features_transition{b}/conv': 'features.transition{b}.conv',
    'classifier': 'classifier',
}
# The files that torchvision still offers for download were written so.
DENSENET_2017: Naming = DENSENET | {
    f'features_denseblock{{b}}_denselayer{{i}}/{kind}{{n}}': (
        f'features.denseblock{{b}}.denselayer{{i}}.{kind}.{{n}}'
    )
    for kind in ('norm', 'conv')
}
CONVNEXT: Naming = {
    'stem_{n}': 'stem.{n}',
    'stages_{s}_downsample_{n}': 'stages.{s}.downsample.{n}',
    'stages_{s}_blocks_{b}/conv_dw': 'stages.{s}.blocks.{b}.conv_dw',
    'stages_{s}_blocks_{b}/norm': 'stages.{s}.blocks.{b}.norm',
    'stages_{s}_blocks_{b}/mlp_fc{n}': 'stages.{s}.blocks.{b}.mlp.fc{n}',
    'stages_{s}_blocks_{b}/gamma': 'stages.{s}.blocks.{b}.gamma',
    'head_norm': 'head.norm',
    'head_fc': 'head.fc',
}
CONVNEXT_TORCHVISION: Naming = {
    'stem_{n}': 'features.0.{n}',
    **{f'stages_{s}_downsample_{{n}}': f'features.{2 * s}.{{n}}' for s in range(1, 4)},
    **{
        f'stages_{s}_blocks_{{b}}/{ours}': f'features.{2 * s + 1}.{{b}}.{theirs}'
        for s in range(4)
        for ours, theirs in {
            'conv_dw': 'block.0',
            'norm': 'block.2',
            'mlp_fc1': 'block.3',
            'mlp_fc2': 'block.5',
            'gamma': 'layer_scale',
        }.items()
    },
    'head_norm': 'classifier.0',
    'head_fc': 'classifier.2',
}
VIT: Naming = {
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
    'patch_embed_proj': 'patch_embed.proj',
    'blocks_{b}/norm{n}': 'blocks.{b}.norm{n}',
    'blocks_{b}/attn/qkv': 'blocks.{b}.attn.qkv',
    'blocks_{b}/attn/proj': 'blocks.{b}.attn.proj',
    'blocks_{b}/ls{n}': 'blocks.{b}.ls{n}.gamma',
    'blocks_{b}/mlp_fc{n}': 'blocks.{b}.mlp.fc{n}',
    'norm': 'norm',
    'head': 'head',
}
_LAYER = 'encoder.layers.encoder_layer_{b}'
VIT_TORCHVISION: Naming = {
    'cls_token': 'class_token',
    'pos_embed': 'encoder.pos_embedding',
    'patch_embed_proj': 'conv_proj',
    'blocks_{b}/norm{n}': f'{_LAYER}.ln_{{n}}',
    'blocks_{b}/attn/qkv/kernel': f'{_LAYER}.self_attention.in_proj_weight',
    'blocks_{b}/attn/qkv/bias': f'{_LAYER}.self_attention.in_proj_bias',
    'blocks_{b}/attn/proj': f'{_LAYER}.self_attention.out_proj',
    'blocks_{b}/mlp_fc1': f'{_LAYER}.mlp.0',
    'blocks_{b}/mlp_fc2': f'{_LAYER}.mlp.3',
    'norm': 'encoder.ln',
    'head': 'heads.head',
}
VIT_TORCHVISION_2021: Naming = VIT_TORCHVISION | {
    'blocks_{b}/mlp_fc{n}': f'{_LAYER}.mlp.linear_{{n}}',
}
del VIT_TORCHVISION_2021['blocks_{b}/mlp_fc1'], VIT_TORCHVISION_2021['blocks_{b}/mlp_fc2']

# The first naming of a model is the one that is exported. torchvision's ResNets and its present
# DenseNets are called as timm's are. timm rounds the gates of SE-ResNet-18 up: it is another model.
NAMINGS: dict[str, dict[str, Naming]] = {
    'resnet18': {'timm': RESNET},
    'resnet50': {'timm': RESNET},
    'se_resnet50': {'timm': SE_RESNET},
    'densenet121': {'timm': DENSENET, 'torchvision 2017': DENSENET_2017},
    'convnext_tiny': {'timm': CONVNEXT, 'torchvision': CONVNEXT_TORCHVISION},
    'vit': {
        'timm': VIT,
        'torchvision': VIT_TORCHVISION,
        'torchvision 2021': VIT_TORCHVISION_2021,
    },
}


def namings(model_name: str) -> dict[str, Naming]:
    """The ways in which files call the tensors of a model.

    Raises:
        UserError: there are no ImageNet weights for such a model.
    """
    if model_name not in NAMINGS:
        raise errors.UserError(
            f'neither timm nor torchvision has a model like {model_name!r}; '
            f'those that they have: {", ".join(NAMINGS)}.'
        )
    return NAMINGS[model_name]


def names(paths: Iterable[str], naming: Naming) -> dict[str, str]:
    """Our paths, 'params/layer1_0/conv1/kernel', with the file's names, 'layer1.0.conv1.weight'.

    Paths that the naming has nothing for are left out.
    """
    compiled = [(_pattern(ours), theirs) for ours, theirs in naming.items()]
    found = {path: _name(path.partition('/')[2], compiled) for path in paths}
    return {path: name for path, name in found.items() if name}


def recognise(
    model_name: str, paths: Iterable[str], tensors: Iterable[str]
) -> tuple[str, dict[str, str]]:
    """The naming that most of a file's tensors have, and `names` of it."""
    paths, there = list(paths), set(tensors)
    named = {label: names(paths, table) for label, table in namings(model_name).items()}
    label = max(named, key=lambda label: len(there & set(named[label].values())))
    return label, named[label]


def _name(path: str, compiled: list[tuple[re.Pattern[str], str]]) -> str | None:
    module, _, leaf = path.rpartition('/')
    for whole, ending in ((path, ''), (module, f'.{LEAVES.get(leaf, leaf)}')):
        for pattern, theirs in compiled:
            if match := pattern.fullmatch(whole):
                return theirs.format(**match.groupdict()) + ending
    return None


def _pattern(ours: str) -> re.Pattern[str]:
    return re.compile(re.sub(r'{(\w)}', r'(?P<\1>\\d+)', ours))
