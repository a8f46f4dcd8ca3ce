"""Our models in timm's names: a file that timm loads, and that `pretrained.load` loads back."""

import dataclasses
import json
import pathlib
from typing import Any

import flax.linen as nn
import numpy as np
from flax import traverse_util

from pneumo_jax import errors, files
from pneumo_jax.models.pretrained import fit, match

Variables = dict[str, Any]
Scale = float | tuple[float, ...]

VITS = {'Ti': 'vit_tiny_patch16_224', 'S': 'vit_small_patch16_224', 'B': 'vit_base_patch16_224'}


@dataclasses.dataclass(frozen=True)
class Twin:
    """timm's model that is equal to one of ours: `timm.create_model(name, **fields)`."""

    name: str
    fields: dict[str, Any]

    def call(self, path: pathlib.Path) -> str:
        """The line of Python that makes it with the weights in `path`."""
        fields = {**self.fields, 'checkpoint_path': str(path)}
        listed = ''.join(f', {name}={value!r}' for name, value in fields.items())
        return f'timm.create_model({self.name!r}{listed})'


def save(
    path: pathlib.Path,
    *,
    model_name: str,
    model: nn.Module,
    variables: Variables,
    image_shape: tuple[int, int, int],
    mean: Scale = 0.5,
    std: Scale = 0.5,
) -> Twin:
    """Write a model's weights to `path`, a .safetensors file, and tell which model of timm's it is.

    `image_shape` is (height, width, channels) of what the model is fed, `mean` and `std` its scale,
    one number or one a channel. Position embeddings and heads are written as they are.

    Raises:
        UserError: timm has no such model.
    """
    from safetensors.numpy import save as to_bytes

    twin = of(model_name, model, image_shape)
    flat = traverse_util.flatten_dict(variables, sep='/')
    naming = next(iter(match.namings(model_name).values()))
    names = match.names(flat, naming)
    height, width, channels = image_shape
    described = {
        'mean': np.broadcast_to(mean, channels).tolist(),
        'std': np.broadcast_to(std, channels).tolist(),
        'input_size': [channels, height, width],
        'num_classes': twin.fields['num_classes'],
    }
    metadata = {'format': 'pt', 'architecture': twin.name, 'pretrained_cfg': json.dumps(described)}
    tensors = {names[own]: fit.theirs(value, own) for own, value in flat.items()}
    files.write_bytes(path, to_bytes(tensors, metadata))
    return twin


def of(model_name: str, model: nn.Module, image_shape: tuple[int, int, int]) -> Twin:
    """timm's twin of a model that is fed images of `image_shape`.

    Raises:
        UserError: there is none.
    """
    match.namings(model_name)
    own = {name: getattr(model, name) for name in model.__dataclass_fields__}
    if own.get('width', 64) != 64 and model_name != 'vit':
        raise errors.UserError(f'timm has no {model_name} of width {own["width"]}, only of 64.')
    fields: dict[str, Any] = {'num_classes': own['num_classes'], 'in_chans': image_shape[2]}
    if model_name == 'vit':
        return _vit(model, fields, image_shape)
    if model_name == 'convnext_tiny':
        return Twin('convnext_tiny', fields | {'depths': own['blocks'], 'dims': own['dims']})
    if model_name == 'densenet121':
        sizes = {'block_config': own['blocks'], 'growth_rate': own['growth']}
        return Twin('densenet121', fields | sizes)
    name = model_name.replace('se_', 'se')
    return Twin(name, fields | {'layers': own['blocks']})


def _vit(model: Any, fields: dict[str, Any], image_shape: tuple[int, int, int]) -> Twin:
    """Images that are no whole patches are padded by both."""
    width, depth, heads = model.sizes()
    rows, columns = fit.grid(image_shape, model.patch)
    whole = rows * model.patch, columns * model.patch
    sizes = {
        'img_size': whole,
        'patch_size': model.patch,
        'embed_dim': width,
        'depth': depth,
        'num_heads': heads,
    }
    padded = {'dynamic_img_size': True, 'dynamic_img_pad': True}
    extra = padded if whole != image_shape[:2] else {}
    scaled = {'init_values': 1e-5} if model.layer_scale else {}
    return Twin(VITS[model.variant], fields | sizes | extra | scaled)
