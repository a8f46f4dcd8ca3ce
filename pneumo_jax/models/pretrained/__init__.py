"""Weights of torchvision and timm in our models, from .safetensors files, and ours in theirs."""

from typing import Any

import flax.linen as nn
import numpy as np
from flax import traverse_util

from pneumo_jax import errors, files, weights
from pneumo_jax.models import heads
from pneumo_jax.models.pretrained import fit, hub, match, scale
from pneumo_jax.models.pretrained.report import Report, check
from pneumo_jax.models.pretrained.scale import Expected

Variables = dict[str, Any]
Arrays = dict[str, np.ndarray]


def expects(source: str, *, model_name: str, revision: str = '', sha256: str = '') -> Expected:
    """On what images the weights `source` were trained; see `hub.find` for what it may be.

    Raises:
        UserError: there are no such weights, or nothing tells.
    """
    path = hub.find(source, revision=revision, sha256=sha256)
    match.namings(model_name)
    return scale.expected(source, path, model_name, revision)


def load(
    source: str,
    *,
    model_name: str,
    model: nn.Module,
    variables: Variables,
    image_shape: tuple[int, ...],
    revision: str = '',
    sha256: str = '',
) -> tuple[Variables, Report]:
    """`variables`, as `model.init` made them, with a file's weights in their places, in float32.

    `image_shape` begins with the height and width that the model is fed: position embeddings are
    resampled to it, and patches to the model's. A first layer of one channel is the sum of the
    file's three. A head for another number of classes keeps its initial values.

    Raises:
        UserError: no such weights, a damaged file, or one that is not all of this model's: then
            every tensor and parameter without a partner is named with its shape. Also where a
            model of gray images cannot be equal to the file's, as its colours have several scales.
    """
    path = hub.find(source, revision=revision, sha256=sha256)
    match.namings(model_name)
    tensors, metadata = weights.read(path)
    initial: Arrays = traverse_util.flatten_dict(variables, sep='/')
    naming, names = match.recognise(model_name, initial, tensors)
    names = {own: name for own, name in names.items() if name in tensors}
    grid = fit.grid(image_shape, getattr(model, 'patch', 1))
    told = scale.inside(path, metadata)
    old = fit.file_grid(tensors, names, told.size if told else None)
    plain = {own: fit.ours(tensors[name], own, initial[own].shape) for own, name in names.items()}
    found = {
        own: fit.resampled(tensor, own, initial[own].shape, grid, old)
        for own, tensor in plain.items()
    }
    if fit.sums_colours(tensors, names, initial):
        _check_gray(scale.expected(source, path, model_name, revision), source)
    new = _new_head(initial, found, heads.name(variables['params']))
    dropped = {names[own] for own in new & names.keys()}
    dropped |= {name for name in tensors if match.DROPPED.fullmatch(name)}
    check(f'{path.name} and {model_name}', initial, found, names, tensors, new, dropped)
    report = Report(
        path=path,
        sha256=files.sha256(path),
        naming=naming,
        used={names[own]: tensors[names[own]].shape for own in initial if own not in new},
        dropped={name: tensors[name].shape for name in tensors if name in dropped},
        new={own: initial[own].shape for own in initial if own in new},
        resampled={
            names[own]: (plain[own].shape, value.shape)
            for own, value in found.items()
            if value is not plain[own]
        },
    )
    filled = {own: initial[own] if own in new else found[own] for own in initial}
    return {**variables, **traverse_util.unflatten_dict(filled, sep='/')}, report


def _new_head(initial: Arrays, found: Arrays, head: str) -> set[str]:
    """The head's parameters where the file has none, or one of another number of classes."""
    own = {path for path in initial if path.startswith(f'params/{head}/')}
    fits = all(p in found and found[p].shape[-1:] == initial[p].shape[-1:] for p in own)
    return set() if fits else own


def _check_gray(expected: Expected, source: str) -> None:
    if not expected.gray:
        raise errors.UserError(
            f'{source} expects colours of the scales {expected.mean} and {expected.std}; a model '
            'of one channel cannot have them. Feed it gray images as three channels.'
        )
