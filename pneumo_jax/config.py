"""What a run is made of: every field with its default, and the checks that a page must pass.

A config page (`configs/NAME.py`) defines `get_config(form) -> ConfigDict` and states only what it
changes; `load` completes it with the defaults below, applies the `--config.a.b=value` overrides of
the command line, and refuses what cannot run. No jax here, so that a mistake is told at once.
"""

import ast
import importlib.util
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pneumo_jax import data, errors

# The fields of every model beside `name` and `dtype`, as its module in pneumo_jax.models has them.
MODELS: dict[str, dict[str, Any]] = {
    'mlp': {'hidden': 128},
    'cnn': {'features': (16, 32), 'kernel': 3, 'hidden': 128},
    'cnn_bn_dropout': {'features': (32, 64), 'kernel': 3, 'hidden': 256, 'dropout': 0.5},
    'resnet18': {'blocks': (2, 2, 2, 2), 'width': 64},
    'resnet50': {'blocks': (3, 4, 6, 3), 'width': 64},
    'se_resnet18': {'blocks': (2, 2, 2, 2), 'width': 64},
    'se_resnet50': {'blocks': (3, 4, 6, 3), 'width': 64},
    'densenet121': {'blocks': (6, 12, 24, 16), 'growth': 32},
    'convnext_tiny': {'blocks': (3, 3, 9, 3), 'dims': (96, 192, 384, 768)},
    # Non-zero width, depth and heads replace those of the variant.
    'vit': {'variant': 'Ti', 'patch': 16, 'width': 0, 'depth': 0, 'heads': 0, 'dropout': 0.0},
}

# What a field may hold, where that is a list.
CHOICES: dict[str, tuple[str, ...]] = {
    'model.variant': ('Ti', 'S', 'B'),
    'model.dtype': ('float32', 'bfloat16'),
    'data.fallback': ('', 'synthetic'),
    'optim.name': ('adam', 'sgd'),
    'optim.schedule': ('constant', 'cosine'),
    'checkpoint.best': ('auroc', 'accuracy', 'balanced_accuracy', 'loss'),
    'weights': ('last', 'best'),
}

# The closed interval that a number must lie in.
RANGES: dict[str, tuple[float, float]] = {
    'seed': (0, 2**31 - 1),
    'batch_size': (1, 2**20),
    'eval_batch_size': (1, 2**20),
    'epochs': (1, 10**6),
    'steps': (0, 10**9),
    'data.size': (0, 4096),
    'data.limit': (0, 10**9),
    'data.val_fraction': (0.01, 0.5),
    'optim.lr': (1e-12, 1e3),
    'optim.warmup_epochs': (0, 10**6),
    'optim.weight_decay': (0, 1e3),
    'optim.clip_norm': (0, 1e9),
    'optim.ema': (0, 0.999999),
    'checkpoint.steps': (0, 10**9),
    'model.dropout': (0, 0.99),
}


def defaults(model: str) -> ConfigDict:
    """Every field of a run of `model`: the notebook's recipe, with all that it lacks turned off."""
    config = ConfigDict()
    config.seed = 0  # of the initial weights, the data order and dropout
    config.batch_size = 32  # over all devices together
    config.eval_batch_size = 128  # changes speed and memory, never a result
    config.epochs = 10
    config.steps = 0  # above 0: train this many steps instead of `epochs`
    config.weights = 'last'  # the weights that are scored at the end: 'last', or 'best' on val

    config.model = ConfigDict({'name': model, 'dtype': 'float32', **MODELS[model]})

    config.data = ConfigDict()
    config.data.name = 'pneumoniamnist'  # a MedMNIST 2D set, or 'synthetic'
    config.data.size = 224  # of the square images, in pixels; 0: as they are in the npz of `path`
    config.data.path = ''  # an npz file or an image folder, instead of `name`
    config.data.limit = 0  # above 0: at most this many images of every split
    config.data.val_fraction = 0.1  # of train, where the source has no val split
    config.data.fallback = ''  # 'synthetic': drawn phantoms where there is no file and no network

    config.optim = ConfigDict()
    config.optim.name = 'adam'
    config.optim.lr = 1e-3  # the peak, after warm-up
    config.optim.schedule = 'constant'  # or 'cosine', to zero at the last step
    config.optim.warmup_epochs = 0.0  # of linear growth from zero
    config.optim.weight_decay = 0.0  # decoupled, on kernels alone: with 'adam' this is AdamW
    config.optim.clip_norm = 0.0  # above 0: bound on the gradient's global norm
    config.optim.ema = 0.0  # above 0: decay of the averaged weights, which are then the scored ones

    config.checkpoint = ConfigDict()
    config.checkpoint.best = 'auroc'  # the val metric by which the best checkpoint is kept
    config.checkpoint.steps = 0  # above 0: a checkpoint so often, beside the one of every epoch
    return config


def load(page: str, overrides: Mapping[str, str] | None = None) -> ConfigDict:
    """The complete, checked, locked config of `page` ('configs/vit.py' or 'configs/vit.py:28').

    `overrides` maps dotted fields to their text on the command line.

    Raises:
        UserError: the page, a field, a type or a value is not one that can run.
    """
    overrides = dict(overrides or {})
    stated = _read_page(*_split_form(page))
    name = overrides.get('model.name', stated.get('model.name', 'cnn'))
    if name not in MODELS:
        raise errors.unknown('model', name, MODELS)
    config = defaults(str(name))
    for field, value in stated.items():
        _set(config, field, value)
    for field, text in overrides.items():
        _set(config, field, _parse(config, field, text))
    check(config)
    return config.lock()


def check(config: ConfigDict) -> None:
    """Refuse values that no run can have (`UserError`), field by field."""
    fields = flatten(config)
    for field, choices in CHOICES.items():
        if field in fields and fields[field] not in choices:
            raise errors.unknown(field, fields[field], choices)
    for field, (low, high) in RANGES.items():
        if field in fields and not low <= fields[field] <= high:
            raise errors.UserError(
                f'config.{field}={fields[field]} is out of range: {low:g} to {high:g}.'
            )
    data.check(name=config.data.name, size=config.data.size, path=config.data.path)
    sizes = [(field, value) for field, value in fields.items() if isinstance(value, tuple)]
    for field, value in sizes:
        if not value or not all(isinstance(size, int) and size > 0 for size in value):
            raise errors.UserError(
                f'config.{field}={value} must be positive whole numbers, such as 16,32,64.'
            )
    if fields.get('model.kernel', 1) % 2 == 0:
        raise errors.UserError(
            f'config.model.kernel={config.model.kernel} must be odd, such as 3, 5 or 7.'
        )


def flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """{'data.size': 28, ...}: every leaf of a nested config under its dotted name."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping | ConfigDict):
            flat.update(flatten(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def to_json(config: ConfigDict) -> dict[str, Any]:
    """The config as JSON gives it back: nested dictionaries, tuples as lists."""
    return json.loads(config.to_json())


def run_name(page: str) -> str:
    """'configs/vit.py:28' -> 'vit-28', the default name of its run folder."""
    path, form = _split_form(page)
    return path.stem + (f'-{form}' if form else '')


def _split_form(page: str) -> tuple[pathlib.Path, str]:
    path, mark, form = page.rpartition('.py:')
    return (pathlib.Path(path + '.py'), form) if mark else (pathlib.Path(page), '')


def _read_page(path: pathlib.Path, form: str) -> dict[str, Any]:
    """The fields that a page states, flattened."""
    if not path.is_file():
        near = [str(page) for page in sorted(path.parent.glob('*.py')) if page.stem != 'common']
        if near:
            raise errors.unknown('config page', path, near)
        raise errors.UserError(f'no config page at {path}. Try --config configs/quickstart.py.')
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise errors.UserError(f'{path} is not a config page: it must be a .py file.')
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return flatten(module.get_config(*([form] if form else [])))
    except Exception as error:  # whatever a page does wrong is its writer's to mend
        raise errors.UserError(f'config page {path}: {type(error).__name__}: {error}') from error


def _default(config: ConfigDict, field: str) -> Any:
    fields = flatten(config)
    if field not in fields:
        raise errors.unknown('config field', field, fields)
    return fields[field]


def _parse(config: ConfigDict, field: str, text: str) -> Any:
    if isinstance(_default(config, field), str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _set(config: ConfigDict, field: str, value: Any) -> None:
    default = _default(config, field)
    if isinstance(default, tuple) and isinstance(value, int | list):
        value = (value,) if isinstance(value, int) else tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise errors.UserError(
            f'config.{field}={value!r} is of type {type(value).__name__}; '
            f'{type(default).__name__} is needed, such as {default!r}.'
        )
    *parents, leaf = field.split('.')
    for parent in parents:
        config = config[parent]
    config[leaf] = value
