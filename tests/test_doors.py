import os
import pathlib
import shlex
import subprocess
import sys
from typing import Any

import pytest

from pneumo_jax import doors, errors


def test_overrides_in_both_forms() -> None:
    parser = doors.Parser(prog='x')
    rest = ['--config.seed=3', '--config.data.path', 'a=b', '--config.optim.lr=1e-3']
    found = parser._overrides(rest)
    assert found == {'seed': '3', 'data.path': 'a=b', 'optim.lr': '1e-3'}


@pytest.mark.parametrize(
    ('raised', 'code', 'line'),
    [
        (errors.UserError('two\nlines'), 2, 'error: two lines\n'),
        (errors.UserError('red\x1b[31m.png: no image'), 2, 'error: red?[31m.png: no image\n'),
        (KeyboardInterrupt(), 130, 'stopped'),
        (errors.Stopped(15, 1, 2), 143, 'stopped and saved after step 1 of 2'),
        (RuntimeError('RESOURCE_EXHAUSTED: 9 TB'), 2, 'error: there is not enough memory (RESOU'),
        (OSError(36, 'File name too long', 'x' * 300), 2, 'error: File name too long: xxx'),
        (OSError(36, 'File name too long', '\x1b' * 300), 2, 'error: File name too long: ???'),
        (MemoryError(), 2, 'error: there is not enough memory (none is left)'),
    ],
)
def test_how_a_door_closes(
    raised: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def door(argv: Any) -> None:
        raise raised

    assert doors.enter(door, []) == code
    assert capsys.readouterr().err.startswith(line)


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    def door(argv: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        doors.enter(door, [])


def test_letters_that_the_terminal_does_not_have_are_question_marks() -> None:
    code = (
        'import sys\nfrom pneumo_jax import doors\n'
        'sys.exit(doors.enter(lambda argv: print("Gesund: \u5065\u5eb7"), []))'
    )
    latin = {**os.environ, 'PYTHONIOENCODING': 'latin-1'}
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, env=latin)
    assert (found.returncode, found.stdout, found.stderr) == (0, b'Gesund: ??\n', b'')


def test_a_reader_that_has_seen_enough_is_no_mistake() -> None:
    code = (
        'import sys\nfrom pneumo_jax import doors\n'
        'sys.exit(doors.enter(lambda argv: [print("x" * 9999) for _ in range(99)], []))'
    )
    with subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == b''


@pytest.mark.skipif(not pathlib.Path('/dev/full').exists(), reason='no /dev/full here')
def test_a_full_disk_is_one_line() -> None:
    code = (
        'import sys\nfrom pneumo_jax import doors\n'
        'sys.exit(doors.enter(lambda argv: print("x" * 9999), []))'
    )
    for out, expected in (
        ('/dev/full', (2, b'error: nothing can be written: No space left on device.\n')),
        ('&-', (0, b'')),
    ):
        command = f'{shlex.join([sys.executable, "-c", code])} >{out}'
        done = subprocess.run(command, shell=True, capture_output=True)
        assert (done.returncode, done.stderr) == expected


def test_the_run_folder_is_named_after_page_and_form() -> None:
    assert doors.default_workdir('configs/vit.py:28') == pathlib.Path('runs/vit-28')


def test_starting_again_happens_once_and_keeps_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(doors.os, 'execv', lambda path, argv: started.append(argv))
    monkeypatch.setattr(
        doors.sys, 'orig_argv', ['python', '-m', 'pneumo_jax.main', '--config', 'x']
    )
    monkeypatch.setenv('GLIBC_TUNABLES', 'glibc.malloc.check=0')
    doors.keep_memory()
    assert started == [[doors.sys.executable, '-m', 'pneumo_jax.main', '--config', 'x']]
    assert doors.os.environ['GLIBC_TUNABLES'].startswith(
        'glibc.malloc.check=0:glibc.malloc.hugetlb=1:'
    )
    doors.keep_memory()
    assert len(started) == 1
