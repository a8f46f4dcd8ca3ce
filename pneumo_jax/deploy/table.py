"""Predictions in a file, CSV or JSON lines, that a stop at any moment leaves whole."""

import contextlib
import csv
import io
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

from pneumo_jax import errors, files
from pneumo_jax.training import workdir

Row = dict[str, Any]
Key = tuple[str, int, int]
KINDS = ('.csv', '.jsonl')


class Table(NamedTuple):
    """A table that is open for more rows; `done` are those in it, as `key` names them."""

    path: pathlib.Path
    file: TextIO
    columns: tuple[str, ...]
    done: set[Key]

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows: a kill after this call loses none of them. UserError on a full disk."""
        try:
            self.file.write(_text(rows, self.columns, self.path.suffix))
            self.file.flush()
        except OSError as error:
            raise errors.UserError(f'{self.path} cannot be written: {error.strerror}.') from error


def key(row: Row) -> Key:
    """What tells a file, and that it has not changed since."""
    return row['file'], int(row['bytes']), int(row['modified'])


@contextlib.contextmanager
def opened(
    path: pathlib.Path, columns: Sequence[str], model: str, wanted: Mapping[str, Key | None]
) -> Iterator[Table]:
    """The table at `path`, new or to go on with; until the block ends nobody else can write to it.

    What is taken out first: a line that a kill cut short, and the rows of files for which `wanted`
    has another key, because they have changed, or None.

    Raises:
        UserError: another suffix than KINDS, a file that is no table of these columns and this
            `model`, one that is in use, or that cannot be written.
    """
    if path.suffix not in KINDS:
        raise errors.UserError(f'--out {path}: the name must end with {" or ".join(KINDS)}.')
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(_locked(path))
            old = _content(path)
            rows = _rows(old, path, columns, model)
            kept = [row for row in rows if wanted.get(row['file'], key(row)) == key(row)]
            new = _header(path, columns) + _text(kept, columns, path.suffix)
            if new != old:
                files.write_bytes(path, new.encode('utf-8', 'surrogateescape'))
                file = stack.enter_context(_locked(path))
        except OSError as error:
            raise errors.UserError(f'{path} cannot be written: {error.strerror}.') from error
        yield Table(path, file, tuple(columns), {key(row) for row in kept})


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[TextIO]:
    # The names of files are bytes, and are to come back as the same bytes.
    with path.open('a', encoding='utf-8', errors='surrogateescape', newline='') as file:
        workdir.hold(file, path, '--out')
        yield file


def _content(path: pathlib.Path) -> str:
    return path.read_bytes().decode('utf-8', 'surrogateescape')


def _header(path: pathlib.Path, columns: Sequence[str]) -> str:
    if path.suffix == '.jsonl':
        return ''
    return _line(columns)


def _rows(content: str, path: pathlib.Path, columns: Sequence[str], model: str) -> list[Row]:
    """The whole rows of a table; `UserError` where it is another one."""
    columns = tuple(columns)
    start = _header(path, columns) or f'{{"{columns[0]}": '
    try:
        if content[: len(start)] != start[: len(content)]:
            raise ValueError
        whole = content[: content.rfind('\n') + 1]
        if path.suffix == '.csv':
            cells = list(csv.reader(io.StringIO(whole, newline='')))[1:]
            if cells and len(cells[-1]) < len(columns):  # cut at a line break within a name
                del cells[-1]
            rows = [dict(zip(columns, row, strict=True)) for row in cells]
        else:
            rows = [json.loads(line) for line in whole.splitlines()]
        whole_rows = (columns == tuple(row) and isinstance(row['file'], str) for row in rows)
        if not all(whole_rows) or not all(map(key, rows)):
            raise ValueError
        models = {row['model'] for row in rows}
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise errors.UserError(
            f'{path} is no table of predictions with the columns {", ".join(columns)}; '
            'give another --out.'
        ) from error
    if models - {model}:
        raise errors.UserError(
            f'{path} holds predictions of another model, calibration or prevalence; '
            'give another --out, or remove it.'
        )
    return rows


def _text(rows: Sequence[Row], columns: Sequence[str], kind: str) -> str:
    """Rows as lines: JSON, or CSV with lists joined by | and nothing for None."""
    if kind == '.jsonl':
        return ''.join(json.dumps({name: row[name] for name in columns}) + '\n' for row in rows)
    return ''.join(_line([_cell(row[name]) for name in columns]) for row in rows)


def _line(cells: Sequence[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator='\r\n').writerow(cells)  # of which it quotes either in a cell
    return out.getvalue().removesuffix('\r\n') + '\n'


def _cell(value: object) -> object:
    if isinstance(value, list):
        return '|'.join(value)
    return str(value).lower() if isinstance(value, bool) else value
