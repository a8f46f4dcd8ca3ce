"""What a run is made of: every field with its default, and the checks that a page must pass.

A config page (`configs/NAME.py`) defines `get_config(form) -> ConfigDict` and states only what it
changes; `load` completes it with the defaults of `fields`, applies the `--config.a.b=value`
overrides of the command line, and refuses what cannot run. No jax here, so that a mistake is told
at once.
"""

import ast
import importlib.util
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from pneumo_jax import data, errors
from pneumo_jax.fields import CHOICES, MODELS, RANGES, defaults

LARGEST = 10**300  # a whole number beyond it has no float, and is out of every range


def load(page: str, overrides: Mapping[str, str] | None = None) -> ConfigDict:
    """The complete, checked, locked config of `page` ('configs/vit.py' or 'configs/vit.py:28').

    `overrides` maps dotted fields to their text on the command line. Where they ask for another
    model than the page's, what the page says of its model does not count.

    Raises:
        UserError: the page, a field, a type or a value is not one that can run.
    """
    overrides = dict(overrides or {})
    stated = _read_page(*_split_form(page))
    name = overrides.get('model.name', stated.get('model.name', 'cnn'))
    if not isinstance(name, str) or name not in MODELS:
        raise errors.unknown('model', name, MODELS)
    config = defaults(str(name))
    same = name == stated.get('model.name', name)
    for field, value in stated.items():
        if same or not field.startswith('model.'):
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
        value = fields.get(field, ())
        if not all(low <= one <= high for one in _numbers(value)):
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
    _check_pairs(config)
    if config.model.name != 'vit' and fields.get('model.width', 1) < 1:  # ViT's 0: its variant's
        raise errors.UserError(f'config.model.width={config.model.width} must be above 0.')
    if fields.get('model.kernel', 1) % 2 == 0:
        raise errors.UserError(
            f'config.model.kernel={config.model.kernel} must be odd, such as 3, 5 or 7.'
        )


def _numbers(value: Any) -> list[float]:
    """A number, or those of a list; what else is in it is told as such."""
    each = value if isinstance(value, tuple) else (value,)
    return [one for one in each if isinstance(one, int | float)]


def _check_pairs(config: ConfigDict) -> None:
    """Refuse what is allowed alone, but not together."""
    if config.optim.ema and config.optim.swa:
        raise errors.UserError('config.optim.ema and config.optim.swa both average; set one to 0.')
    if config.standardise and config.pretrained.source:
        raise errors.UserError(
            'config.standardise is for models from random weights: those of '
            f'config.pretrained.source={config.pretrained.source} expect a scale of their own.'
        )
    pins = [name for name in ('revision', 'sha256') if config.pretrained[name]]
    if pins and not config.pretrained.source:
        raise errors.UserError(
            f'config.pretrained.{pins[0]} is of weights that config.pretrained.source names: '
            'give both or none.'
        )
    if config.seeds > 1 and config.weights == 'best':
        raise errors.UserError(
            "config.weights='best' chooses one checkpoint, which holds all seeds: "
            'give --config.weights=last, or train the seeds one by one.'
        )
    if config.originals and config.data.val == 'conflicting':
        raise errors.UserError(
            "config.data.val='conflicting' goes by how the images look, and those of "
            f'config.originals={config.originals} look otherwise: give one of them alone.'
        )
    several, frozen = config.seeds > 1, config.finetune.freeze_epochs
    if config.finetune.mode == 'probe' and (several or frozen or config.originals):
        raise errors.UserError(
            "config.finetune.mode='probe' solves for the head of one model and trains nothing: "
            "leave config.seeds at 1, config.finetune.freeze_epochs at 0, config.originals at ''."
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


def stated(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config, as JSON has it, that are not the defaults of its model, flattened.

    A field that is added later, with a default that changes nothing, changes nothing here.
    """
    usual = flatten(to_json(defaults(config['model']['name'])))
    return {
        field: value
        for field, value in flatten(config).items()
        if field not in usual or usual[field] != value or field == 'model.name'
    }


def run_name(page: str) -> str:
    """'configs/vit.py:28' -> 'vit-28', the default name of its run folder."""
    path, form = _split_form(page)
    return path.stem + (f'-{form}' if form else '')


def _split_form(page: str) -> tuple[pathlib.Path, str]:
    path, mark, form = page.rpartition('.py:')
    return (pathlib.Path(path + '.py'), form) if mark else (pathlib.Path(page), '')


def _read_page(path: pathlib.Path, form: str) -> dict[str, Any]:
    """The fields that a page states, flattened."""
    if path.is_dir():
        raise errors.UserError(f'{path} is a folder, and no config page.')
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
    except (Exception, SystemExit) as error:  # whatever a page does wrong is its writer's to mend
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
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _bounded(value: Any) -> Any:
    """A whole number no larger than LARGEST: longer ones Python neither rounds nor shows."""
    return max(-LARGEST, min(value, LARGEST)) if type(value) is int else value


def _set(config: ConfigDict, field: str, value: Any) -> None:
    default = _default(config, field)
    if isinstance(default, tuple) and isinstance(value, int | list):
        value = (value,) if isinstance(value, int) else tuple(value)
    value = tuple(map(_bounded, value)) if isinstance(value, tuple) else _bounded(value)
    if isinstance(default, float) and type(value) is int:
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
