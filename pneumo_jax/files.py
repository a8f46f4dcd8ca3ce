"""Writing files so that a kill at any moment leaves the old one or the new one, never a half."""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from pneumo_jax import errors

# What reading a csv, JSON or npz file raises that is damaged, or holds other things than it should.
DAMAGES = (
    *(OSError, EOFError, ValueError, KeyError, TypeError),
    *(csv.Error, zipfile.BadZipFile, zlib.error),
)

LONGEST = 200  # bytes of a name, of 255 that file systems allow: it gets a beginning and an end


def expanded(path: str | pathlib.Path) -> pathlib.Path:
    """A path with ~ as the home folder. Raises UserError where there is no such home."""
    try:
        return pathlib.Path(path).expanduser()
    except RuntimeError as error:
        raise errors.UserError(f'{path}: {error} Give the path without ~.') from error


def apart(path: pathlib.Path, other: pathlib.Path) -> str:
    """What tells `path` from `other`, for the name of a file: a/b/run1, a/c/run1.npz: c_run1."""
    mine, theirs = path.resolve(), other.resolve()
    named = mine.with_suffix('') if mine.is_file() else mine
    own = named.relative_to(os.path.commonpath([mine.parent, theirs])).parts
    return '_'.join(own[-3:])  # names of files are short


def short(name: str) -> str:
    """`name`, or its beginning and a checksum where with a suffix it would be no file's."""
    if len(os.fsencode(name)) <= LONGEST:
        return name
    begin = os.fsencode(name)[: LONGEST - 9].decode(errors='ignore')
    return f'{begin}-{zlib.crc32(os.fsencode(name)):08x}'


@contextlib.contextmanager
def filled(folder: pathlib.Path) -> Iterator[None]:
    """Make the folder that the block writes to; UserError where it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise errors.UserError(
            f'cannot write to {folder} ({error.strerror}); give --out, or another --out.'
        ) from error


@contextlib.contextmanager
def atomic(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary path beside `path` to write to; at the end of the block it becomes `path`."""
    temporary = path.with_name(f'.{os.getpid()}.{path.name}')
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: pathlib.Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: pathlib.Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    write_bytes(path, text.encode('utf-8'))


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused (`ValueError`)."""
    write_text(path, to_json(value))


def to_json(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(value, indent=2, allow_nan=False) + '\n'
