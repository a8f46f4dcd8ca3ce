"""Tables that are stopped, gone on with, and refused."""

import errno
import io
import pathlib
from typing import Any

import pytest

from pneumo_jax.deploy import table
from pneumo_jax.errors import UserError

COLUMNS = ('file', 'bytes', 'modified', 'model', 'p', 'set')
NAMES = ['a.png', 'b, "c".png', 'line\nbreak\r.png', 'bytes\udcff.png', '\u00fc.png']


def row(name: str, modified: int = 7) -> dict[str, Any]:
    values = (name, 10, modified, 'm', 0.123456789, ['Normal', 'Ill'])
    return dict(zip(COLUMNS, values, strict=True))


def add(path: pathlib.Path, *rows: dict[str, Any], model: str = 'm') -> set[table.Key]:
    """What was done before."""
    with table.opened(path, COLUMNS, model, {row['file']: table.key(row) for row in rows}) as found:
        found.add([row for row in rows if table.key(row) not in found.done])
        return found.done


@pytest.fixture(params=table.KINDS)
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / f'out{request.param}'


def test_what_is_done_is_known_the_next_time(path: pathlib.Path) -> None:
    rows = [row(name) for name in NAMES]
    assert add(path, *rows[:3]) == set()
    assert add(path, *rows) == {table.key(each) for each in rows[:3]}
    before = path.read_bytes()
    assert len(add(path, *rows)) == 5
    assert path.read_bytes() == before


def test_a_row_cut_short_by_a_kill_is_written_again(path: pathlib.Path) -> None:
    rows = [row(name) for name in NAMES]
    add(path, *rows)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        add(path, *rows)
        assert sorted(path.read_bytes()) == sorted(whole)


def test_a_kill_after_a_row_was_added_does_not_lose_it(path: pathlib.Path) -> None:
    with table.opened(path, COLUMNS, 'm', {}) as found:
        found.add([row('a.png')])
        assert b'0.123456789' in path.read_bytes()


class Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, 'No space left')


def test_a_full_disk_is_told() -> None:
    full = table.Table(pathlib.Path('out.csv'), Full(), COLUMNS, set())
    with pytest.raises(UserError, match=r'out\.csv cannot be written: No space left'):
        full.add([row('a.png')])


def test_the_row_of_a_changed_file_is_replaced(path: pathlib.Path) -> None:
    add(path, row('a.png'), row('b.png'))
    done = add(path, row('a.png', modified=8))
    assert done == {('b.png', 10, 7)}
    assert add(path) == {('a.png', 10, 8), ('b.png', 10, 7)}


def test_formats(tmp_path: pathlib.Path) -> None:
    for kind in table.KINDS:
        add(tmp_path / f'out{kind}', row('a.png'))
    lines = (tmp_path / 'out.csv').read_text().splitlines()
    assert lines == ['file,bytes,modified,model,p,set', 'a.png,10,7,m,0.123456789,Normal|Ill']
    assert '"set": ["Normal", "Ill"]}' in (tmp_path / 'out.jsonl').read_text()


def test_what_is_not_to_be_written_to(path: pathlib.Path) -> None:
    add(path, row('a.png'))
    before = path.read_bytes()
    with pytest.raises(UserError, match='another model'):
        add(path, row('b.png'), model='other')
    with (
        table.opened(path, COLUMNS, 'm', {}),
        pytest.raises(UserError, match='in use'),
        table.opened(path, COLUMNS, 'm', {}),
    ):
        pass
    assert path.read_bytes() == before
    for text in ('notes of mine', 'x,y\n1,2\n', '[1, 2]\n'):
        path.write_text(text)
        with pytest.raises(UserError, match='no table of predictions'):
            add(path, row('a.png'))
        assert path.read_text() == text
    whole = before.decode()
    if path.suffix == '.jsonl':
        changes = [
            ('"bytes": 10, ', ''),
            ('7', 'null'),
            (', "p": 0.123456789', ''),
            ('"a.png"', '3'),
        ]
    else:  # as a spreadsheet writes it; a quote that never ends
        changes = [('10', '1.0E+01'), ('m', '"' + 'x' * 140_000)]
    for change in changes:
        path.write_text(whole.replace(*change))
        with pytest.raises(UserError, match='no table of predictions'):
            add(path, row('a.png'))
    with pytest.raises(UserError, match=r'must end with \.csv or \.jsonl'):
        add(path.with_suffix('.xlsx'))
    with pytest.raises(UserError, match='cannot be written'):
        add(path / path.name)
    add(path.parent / 'new folder' / path.name, row('a.png'))
    assert (path.parent / 'new folder' / path.name).exists()
