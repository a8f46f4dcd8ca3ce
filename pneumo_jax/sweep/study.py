"""What a study is: rows of configs and the seeds that each is run with.

`experiments/NAME/study.py` defines `get_study() -> Study`:

    from pneumo_jax.sweep import Row, Study

    def get_study() -> Study:
        return Study(
            question='Does a larger kernel help?',
            seeds=(0, 1, 2, 3, 4),
            rows={
                '3x3': Row('configs/cnn.py:28'),
                '5x5': Row('configs/cnn.py:28', {'model.kernel': 5}),
            },
            baseline='3x3',
        )
"""

import collections
import dataclasses
import hashlib
import importlib.util
import json
import pathlib
import re
from collections.abc import Mapping

from pneumo_jax import config as configs
from pneumo_jax import errors

LONGEST = 100  # letters of a row's name, which is that of a folder too


@dataclasses.dataclass(frozen=True)
class Row:
    """One config: a page and what differs from it, by dotted field; `note` is for the reader."""

    page: str
    overrides: Mapping[str, object] = dataclasses.field(default_factory=dict)
    note: str = ''


@dataclasses.dataclass(frozen=True)
class Study:
    """Every row with every seed. Tests compare each row with `baseline`."""

    question: str
    seeds: tuple[int, ...]
    rows: Mapping[str, Row]
    baseline: str


@dataclasses.dataclass(frozen=True)
class Run:
    """One row with one seed. `name` is that of its folder, `digest` that of its whole config."""

    row: str
    seed: int
    name: str
    digest: str
    weights: str  # that are scored: 'last' or 'best'
    data: str  # the fields of its data that differ from the default ones, as JSON
    arguments: tuple[str, ...]  # of python -m pneumo_jax.main, less --workdir

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes a stored run this one."""
        return self.row, str(self.seed), self.digest


def read(folder: pathlib.Path) -> Study:
    """The checked study of `folder`. Raises UserError where there is none that can be run."""
    path = folder / 'study.py'
    spec = importlib.util.spec_from_file_location('study', path)
    if not path.is_file() or spec is None or spec.loader is None:
        there = folder.parent.glob('*/study.py')
        near = sorted(str(at.parent) for at in there if b'get_study' in at.read_bytes())
        if near:
            raise errors.unknown('study', folder, near)
        raise errors.UserError(f'no study at {path}: it defines get_study() -> Study.')
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        study = module.get_study()
    except (Exception, SystemExit) as error:  # whatever a study does wrong is its writer's to mend
        raise errors.UserError(f'study {path}: {type(error).__name__}: {error}') from error
    try:
        _check(study)
    except errors.UserError as error:
        raise errors.UserError(f'study {path}: {error}') from error
    return study


def runs(study: Study) -> list[Run]:
    """Every run, rows in the study's order. Raises UserError for a row that no run can have."""
    return [_run(name, row, seed) for name, row in study.rows.items() for seed in study.seeds]


def slug(row: str) -> str:
    """'ours, no crop' -> 'ours-no-crop', for files."""
    return re.sub(r'[^A-Za-z0-9.]+', '-', row).strip('-.')


def digest(config: Mapping[str, object]) -> str:
    """SHA-256 of what a config, as `config.to_json` has it, states beyond its model's defaults."""
    text = json.dumps(configs.stated(config), sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def _check(study: object) -> None:
    if not isinstance(study, Study):
        raise errors.UserError(f'get_study() must return a Study, and returned {study!r}.')
    _check_types(study)
    if not study.rows or not study.seeds:
        raise errors.UserError('a study needs a row and a seed at least.')
    whole = all(type(seed) is int and seed >= 0 for seed in study.seeds)
    if not whole or len(set(study.seeds)) < len(study.seeds):
        raise errors.UserError(f'seeds={study.seeds} must be whole numbers, each once.')
    if study.baseline not in study.rows:
        raise errors.unknown('baseline', study.baseline, study.rows)
    folders = collections.Counter(slug(row).lower() for row in study.rows)
    for row, told in study.rows.items():
        if not slug(row):
            raise errors.UserError(f'row {row!r} needs a letter from a to z or a digit.')
        for text in (row, told.note):  # cells of a table
            if '|' in text or not text.isprintable() or len(text) > LONGEST:
                raise errors.UserError(
                    f'row {row!r}: {text[:LONGEST]!r} may have {LONGEST} letters, no | and no '
                    'line break.'
                )
        if folders[slug(row).lower()] > 1:
            raise errors.UserError(
                f'row {row!r} has the folder {slug(row)!r} of another; rename it.'
            )


def _check_types(study: Study) -> None:
    def check(name: str, value: object, *kinds: type) -> None:
        if not isinstance(value, kinds):
            allowed = ' or '.join(kind.__name__ for kind in kinds)
            raise errors.UserError(f'{name} must be a {allowed}, and is {value!r}.')

    check('question', study.question, str)
    check('baseline', study.baseline, str)
    check('seeds', study.seeds, tuple, list)
    check('rows', study.rows, Mapping)
    for name, row in study.rows.items():
        check('the name of a row', name, str)
        check(f'row {name!r}', row, Row)
        check(f'row {name!r}: the page', row.page, str)
        check(f'row {name!r}: the overrides', row.overrides, Mapping)
        check(f'row {name!r}: the note', row.note, str)


def _run(name: str, row: Row, seed: int) -> Run:
    overrides = {
        field: value if isinstance(value, str) else repr(value)
        for field, value in {**row.overrides, 'seed': seed}.items()
    }
    try:
        if 'seed' in row.overrides:
            raise errors.UserError("'seed' is no override: a study has `seeds`.")
        config = configs.load(row.page, overrides)
        if config.get('seeds', 1) > 1:
            raise errors.UserError('config.seeds is for runs outside of studies; set it to 1.')
    except errors.UserError as error:
        raise errors.UserError(f'row {name!r}: {error}') from error
    flags = (f'--config.{field}={text}' for field, text in overrides.items())
    arguments = ('--config', row.page, *flags)
    own = digest(configs.to_json(config))
    stated = configs.stated(configs.to_json(config)).items()
    of_data = {field.removeprefix('data.'): v for field, v in stated if field.startswith('data.')}
    place = f'{slug(name)}-{seed}'
    return Run(name, seed, place, own, config.weights, json.dumps(of_data), arguments)
