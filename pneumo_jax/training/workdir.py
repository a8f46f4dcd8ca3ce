"""The run folder: whose it is, and whether this run may go on in it."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator
from typing import IO, Any

from ml_collections import ConfigDict

from pneumo_jax import config as configs
from pneumo_jax import errors, files

RUN = 'run.json'
RESULTS = 'results.json'
CHECKPOINTS = 'checkpoints'
FOLDERS = (CHECKPOINTS, 'tensorboard', 'figures')
REPORT = 'report.txt'
SCORED = 'scored.jsonl'
WEIGHTS = 'model.safetensors'


def check(folder: pathlib.Path, config: ConfigDict, verb: str = 'main') -> None:
    """Make the folder where it is missing, and refuse one that this run cannot go on in.

    Raises:
        UserError: it cannot be written to, or it holds a run of another config or verb.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error.strerror) from error
    finished = (folder / RESULTS).exists()  # and is only read
    if not (finished or os.access(folder, os.W_OK | os.X_OK)):
        raise _unwritable(folder, 'permission denied')
    if any('\udc80' <= sign <= '\udcff' for sign in str(folder.resolve())):
        raise _unwritable(folder, 'its name is not UTF-8, which checkpoints need')
    for name in FOLDERS:
        if (folder / name).exists() and not (folder / name).is_dir():
            raise _unwritable(folder, f'{name} in it is a file, where a run has a folder')
    earlier = read(folder)
    if earlier is None:
        return
    if earlier.get('verb', verb) != verb:
        raise errors.UserError(
            f'{folder} holds a run of `{earlier["verb"]}`, and this is `{verb}`; '
            'give another --workdir.'
        )
    new = configs.flatten(configs.to_json(config))
    # What the earlier run could not state yet was as the defaults are.
    usual = configs.flatten(configs.to_json(configs.defaults(config.model.name)))
    old = {**usual, **configs.flatten(earlier['config'])}
    differing = [
        f'{field}: {old.get(field)!r} there, {new.get(field)!r} here'
        for field in sorted({*old, *new})
        if old.get(field) != new.get(field)
    ]
    if differing:
        raise errors.UserError(
            f'{folder} holds a run of another config ({"; ".join(differing)}). '
            'Give another --workdir, or remove the folder.'
        )


def claim(
    folder: pathlib.Path,
    config: ConfigDict,
    data: dict[str, Any],
    origin: dict[str, Any],
    verb: str = 'main',
) -> None:
    """Write what the run is made of into its folder, or check that it goes on with the same data.

    Raises:
        UserError: the run in the folder began with other data, or nothing tells what it is.
    """
    earlier = read(folder)
    if earlier is None:
        if any((folder / CHECKPOINTS).glob('[0-9]*')):
            raise errors.UserError(
                f'{folder} holds checkpoints and no {RUN}, which tells whose they are: '
                'give another --workdir, or remove the folder.'
            )
        run = {'verb': verb, 'config': configs.to_json(config), 'data': data, 'origin': origin}
        files.write_json(folder / RUN, run)
        return
    there = earlier.get('data', {})
    if any(there.get(name) != data.get(name) for name in ('sha256', 'originals')):
        raise errors.UserError(
            f'{folder} holds a run on other data: {there.get("title", "not known")} there, '
            f'{data["title"]} here, with different images or labels. Give another --workdir.'
        )


def read(folder: pathlib.Path) -> dict[str, Any] | None:
    """What `claim` wrote, or None in a folder without a run.

    Raises UserError where it is damaged.
    """
    path = folder / RUN
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        missing = [name for name in ('model', 'data', 'seed') if name not in found['config']]
        if missing:
            raise ValueError(f'its config has no {missing[0]}')
        return found
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise errors.UserError(
            f'{path} cannot be read ({error}); remove the run folder to train anew.'
        ) from error


def home(folder: pathlib.Path) -> pathlib.Path:
    """The folder itself or, of a seed, that of the run which it belongs to."""
    of_seed = folder.name.startswith('seed-') and not (folder / RUN).exists()
    return folder.parent if of_seed else folder


def members(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folder of every seed of a finished run, in their order: its own where there is one."""
    if (folder / WEIGHTS).exists():
        return [folder]
    seeds = (path.parent for path in folder.glob(f'seed-*/{WEIGHTS}'))
    return sorted(seeds, key=lambda path: int(path.name.removeprefix('seed-')))


def record_scoring(folder: pathlib.Path, split: str) -> None:
    """Note, before anything of it is shown, that a split is scored: who looks often, chooses by it.

    A look at one seed is noted with its run.

    Raises:
        UserError: it cannot be noted.
    """
    folder = home(folder)
    row = {
        'split': split,
        'time': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    }
    path = folder / SCORED
    try:
        with path.open('a', encoding='utf-8') as file:
            file.write('\n' * _cut_short(path) + json.dumps(row) + '\n')
    except OSError as error:
        raise errors.UserError(
            f'cannot write to {path} ({error.strerror}), where every look at {split} is noted.'
        ) from error


def times_scored(folder: pathlib.Path, split: str) -> int:
    """How often `record_scoring` noted the split."""
    path, count = home(folder) / SCORED, 0
    for line in path.read_bytes().splitlines() if path.exists() else []:
        # A kill cut it short, before anything was scored.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            count += json.loads(line)['split'] == split
    return count


def _cut_short(path: pathlib.Path) -> bool:
    """Whether the last line has no end."""
    content = path.read_bytes()
    return bool(content) and not content.endswith(b'\n')


@contextlib.contextmanager
def locked(folder: pathlib.Path, option: str = '--workdir') -> Iterator[None]:
    """Keep a second process out of the folder; the lock ends with the process, however it ends.

    Raises UserError in the second process, and where there can be no lock.
    """
    try:
        file = (folder / '.lock').open('w')
    except OSError as error:
        raise _unwritable(folder, f'.lock: {error.strerror}', option) from error
    with file:
        hold(file, folder, option)
        yield


def hold(file: IO[str], place: pathlib.Path, option: str) -> None:
    """Lock a file until it is closed; UserError, of `place`, where another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise errors.UserError(
            f'{place} is in use by another process; wait for it, or give another {option}.'
        ) from error


def _unwritable(
    folder: pathlib.Path, reason: str | None, option: str = '--workdir'
) -> errors.UserError:
    return errors.UserError(f'cannot write to {folder} ({reason}); give another {option}.')
