"""Classifiers: (image [b h w c], train) -> float32 logits [b k], by name.

Parameters are named as in timm, with '.' and '_' and '/' being the same: timm's
`layer1.0.conv1.weight` is `layer1_0/conv1/kernel` here.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from pneumo_jax import errors
from pneumo_jax.models.cnn import CNN, CNNBatchNormDropout
from pneumo_jax.models.convnext import ConvNeXtTiny
from pneumo_jax.models.densenet import DenseNet121
from pneumo_jax.models.mlp import MLP
from pneumo_jax.models.resnet import ResNet18, ResNet50, SEResNet18, SEResNet50
from pneumo_jax.models.resnet8 import ResNet8
from pneumo_jax.models.vit import ViT

MODELS: dict[str, type[nn.Module]] = {
    'mlp': MLP,
    'cnn': CNN,
    'cnn_bn_dropout': CNNBatchNormDropout,
    'resnet8': ResNet8,
    'resnet18': ResNet18,
    'resnet50': ResNet50,
    'se_resnet18': SEResNet18,
    'se_resnet50': SEResNet50,
    'densenet121': DenseNet121,
    'convnext_tiny': ConvNeXtTiny,
    'vit': ViT,
}
DTYPES = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}


def create(
    name: str,
    *,
    num_classes: int,
    dtype: str = 'float32',
    axis_name: str | None = None,
    **fields: Any,
) -> nn.Module:
    """The untrained model `name`; `fields` are the fields of its class.

    It computes in `dtype` and keeps its parameters in float32. `axis_name` is the mapped axis over
    which BatchNorm shares its statistics. A name, dtype or field that is not there is a UserError.
    """
    if name not in MODELS:
        raise errors.unknown('model', name, MODELS)
    if dtype not in DTYPES:
        raise errors.unknown('dtype', dtype, DTYPES)
    model = MODELS[name]
    allowed = [f for f in model.__dataclass_fields__ if f not in ('parent', 'name')]
    for field in fields.keys() - set(allowed):
        raise errors.unknown(f'field of model {name!r}', field, allowed)
    # JSON has no tuples, and modules are hashed.
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
    return model(num_classes=num_classes, dtype=DTYPES[dtype], axis_name=axis_name, **fields)
