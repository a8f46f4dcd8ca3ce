"""The weights that a run begins with: timm's and torchvision's, or those of an earlier run here."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from pneumo_jax import config as configs
from pneumo_jax import errors, files, weights
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.models import heads, pretrained
from pneumo_jax.models.pretrained import fit, hub
from pneumo_jax.models.pretrained import report as reports
from pneumo_jax.training import steps, workdir

RUNS = 'runs/'  # where run folders are by default; no owner on the hub is called so
# Fields of a model that weights do not depend on; those of other patches are resampled.
FREE = ('dtype', 'dropout', 'drop_path', 'patch')


def scale(config: ConfigDict) -> dict[str, Any]:
    """The fields of a `Preprocess` for images as the weights `config.pretrained` names had them.

    Raises:
        UserError: there are no such weights, or nothing tells their scale.
    """
    given = config.pretrained
    if path := _own(given.source):
        known = weights.load(path)[1]['preprocess']
        return {name: known[name] for name in ('mean', 'std', 'standardise') if name in known}
    mean, std = pretrained.expects(**given, model_name=config.model.name).scale
    return {'mean': mean, 'std': std}


def given(
    config: ConfigDict, model: nn.Module, preprocess: Preprocess, say: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Those weights by path (`params/head/kernel`), and none where `config` names none.

    A head for other classes is not among them. `say` is told what became of the file.

    Raises:
        UserError: they are not there, or do not fit.
    """
    named, shape = config.pretrained, preprocess.fed_shape
    if not named.source:
        return {}
    blank = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), _variables(model, shape))
    if path := _own(named.source):
        path = hub.find(str(path), sha256=named.sha256)
        found, report = _load(path, config, model, blank, shape)
    else:
        known = {'model_name': config.model.name, 'model': model, 'variables': blank}
        found, report = pretrained.load(**named, **known, image_shape=shape)
    say(str(report))
    flat = traverse_util.flatten_dict(found, sep='/')
    return {name: value for name, value in flat.items() if name not in report.new}


@functools.cache
def _variables(model: nn.Module, image_shape: tuple[int, int, int]) -> steps.Variables:
    """Kept, since tracing a large model takes a second, and a run asks twice."""
    draw = functools.partial(steps.draw, model, image_shape)
    return jax.eval_shape(draw, jax.random.key(0), {})


def _own(source: str) -> pathlib.Path | None:
    """The file of a run folder, or a file that a run wrote; None for other sources.

    Raises:
        UserError: the folder is missing, or has no weights.
    """
    path = files.expanded(source)
    if path.is_dir() or source.startswith(RUNS):
        path = path if path.suffix == '.safetensors' else path / workdir.WEIGHTS
        if len(several := workdir.members(path.parent)) > 1:
            raise errors.UserError(
                f'config.pretrained.source={source} holds {len(several)} models; give one of them, '
                f'such as {several[0]}.'
            )
        if not path.is_file():
            raise errors.UserError(
                f'config.pretrained.source={source} has no {workdir.WEIGHTS}, which a finished run '
                'leaves. Weights without labels are made by: python -m pneumo_jax pretrain '
                f'--config configs/mae.py:28 --workdir {source}'
            )
        return path
    ours = (
        path.suffix == '.safetensors'
        and path.is_file()
        and 'preprocess' in weights.read(path, tensors=False)[1]
    )
    return path if ours else None


def _load(
    path: pathlib.Path,
    config: ConfigDict,
    model: nn.Module,
    variables: steps.Variables,
    shape: tuple[int, ...],
) -> tuple[steps.Variables, reports.Report]:
    """As `pretrained.load`, of a file that a run wrote."""
    tree, meta = weights.load(path)
    _check_model(path, meta['model'], config)
    initial, tensors = (traverse_util.flatten_dict(one, sep='/') for one in (variables, tree))
    grid = fit.grid(shape, getattr(model, 'patch', 1))
    found = {
        name: fit.resampled(tensors[name], name, initial[name].shape, grid)
        for name in initial
        if name in tensors
    }
    prefix = f'params/{heads.name(variables["params"])}/'
    head = {name for name in initial if name.startswith(prefix)}
    fits = all(name in found and found[name].shape == initial[name].shape for name in head)
    new = set() if fits else head
    names, dropped = {name: name for name in found}, new & tensors.keys()
    reports.check(f'{path} and the model', initial, found, names, tensors, new, dropped)
    used = {name: found[name] for name in initial if name not in new}
    report = reports.Report(
        path=path,
        sha256=files.sha256(path),
        naming='pneumo_jax',
        used=_shapes({name: tensors[name] for name in used}),
        dropped=_shapes({name: tensors[name] for name in dropped}),
        new=_shapes({name: initial[name] for name in new}),
        resampled={
            name: (tensors[name].shape, value.shape)
            for name, value in used.items()
            if tensors[name].shape != value.shape
        },
    )
    return traverse_util.unflatten_dict({**initial, **used}, sep='/'), report


def _check_model(path: pathlib.Path, theirs: dict[str, Any], config: ConfigDict) -> None:
    """What shapes of weights do not tell: how many heads there are, how far a layer strides."""
    ours = configs.to_json(config)['model']
    for field in ours.keys() - {*FREE}:
        if theirs.get(field, ours[field]) != ours[field]:
            raise errors.UserError(
                f'{path} holds weights of a model with {field}={theirs[field]!r}; '
                f'this one has {ours[field]!r}.'
            )


def _shapes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}
