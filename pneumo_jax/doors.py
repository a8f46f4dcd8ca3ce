"""What every command-line door shares: the --config argument, and how mistakes are told.

`config` is imported where it is used: that takes .3 s, which `keep_memory` would make a start pay
twice.
"""

import argparse
import errno
import io
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from pneumo_jax import errors

if TYPE_CHECKING:
    from ml_collections import ConfigDict

CONFIG_HELP = (
    'a page of configs/, with a form behind a colon: configs/vit.py is the 224 px of the '
    'notebook, configs/vit.py:28 another size (28, 64, 128, 224), configs/vit.py:smoke runs in '
    'seconds. Fields are overridden as --config.data.size=64; pneumo_jax/fields.py lists them all.'
)


class Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault('formatter_class', argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise UserError, where argparse would end the process."""
        raise errors.UserError(f'{message} (see {self.prog} --help)')

    def load_config(self, arguments: argparse.Namespace, rest: list[str]) -> 'ConfigDict':
        """The config that --config and the overrides among the arguments not known give."""
        from pneumo_jax import config

        return config.load(arguments.config, self._overrides(rest))

    def refuse(self, rest: list[str]) -> None:
        """Refuse arguments that are left over, with the nearest flag that there is."""
        if rest:
            flags = [name for action in self._actions for name in action.option_strings]
            raise errors.unknown('argument', rest[0], [f for f in flags if f.startswith('--')])

    def _overrides(self, rest: list[str]) -> dict[str, str]:
        """['--config.data.size=28', '--config.seed', '1'] -> {'data.size': '28', 'seed': '1'}."""
        overrides, rest = {}, list(rest)
        while rest:
            flag, mark, value = rest.pop(0).partition('=')
            if not flag.startswith('--config.'):
                self.refuse([flag])
            if not mark:
                if not rest:
                    self.error(f'{flag} needs a value, as in {flag}=VALUE')
                value = rest.pop(0)
            overrides[flag.removeprefix('--config.')] = value
        return overrides


def add_config(parser: argparse.ArgumentParser) -> None:
    """The argument that every door with a config has."""
    parser.add_argument('--config', required=True, metavar='FILE[:FORM]', help=CONFIG_HELP)


def add_runs(parser: argparse.ArgumentParser) -> None:
    """RUN, and the runs that make an ensemble with it."""
    path, further = pathlib.Path, 'further runs, whose probabilities are averaged with those of RUN'
    parser.add_argument('run', type=path, metavar='RUN', help='the folder of a finished run')
    parser.add_argument(
        '--with', type=path, nargs='+', default=[], metavar='RUN', dest='others', help=further
    )


def runs_of(arguments: argparse.Namespace) -> list[pathlib.Path]:
    """RUN and those that make an ensemble with it."""
    return [arguments.run, *arguments.others]


def folder_for(arguments: argparse.Namespace, name: str = '') -> pathlib.Path:
    """Where a verb on runs writes: --out, or RUN/`name`.

    Raises UserError for an ensemble without --out: it has no folder of its own.
    """
    if arguments.others and not arguments.out:
        raise errors.UserError('an ensemble has no folder of its own: give one with --out FOLDER.')
    return arguments.out or arguments.run / name


def default_workdir(page: str) -> pathlib.Path:
    """runs/vit-28 for configs/vit.py:28."""
    from pneumo_jax import config

    return pathlib.Path('runs', config.run_name(page))


# What glibc only takes at a process's start. XLA's CPU programs take their scratch memory, hundreds
# of MB, from malloc at every step and give it back after it. By default that memory goes back to
# the kernel each time, in 4 kB pages; so: pages of 2 MB, kept. Only the main thread's heap can hold
# them, where `runtime.start` makes programs run.
MALLOC = {
    'glibc.malloc.hugetlb': 1,
    'glibc.malloc.mmap_max': 0,
    'glibc.malloc.trim_threshold': 2**40,
}


def keep_memory() -> None:
    """Start this process again with a malloc that keeps its memory, on Linux.

    Images/s of the train step on 2 cores with huge pages / that are kept / by the main thread:
    ViT at 28 px 99 / 138 to 307 / 467, `cnn` at 224 px 110 / 128 / 167, at 28 px 16,000 each.
    """
    given = os.environ.get('GLIBC_TUNABLES', '')
    wanted = [f'{name}={value}' for name, value in MALLOC.items() if name not in given]
    if sys.platform == 'linux' and wanted:
        os.environ['GLIBC_TUNABLES'] = ':'.join(filter(None, [given, *wanted]))
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


OUT_OF_MEMORY = 'RESOURCE_EXHAUSTED'  # as XLA has it, in a RuntimeError
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def enter(door: Callable[[Sequence[str]], None], argv: Sequence[str]) -> int:
    """Go through `door`; the user's mistakes are one line on stderr and exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == 'strict':
        sys.stdout.reconfigure(errors='replace')  # letters that the terminal does not have
    try:
        door(argv)
        if sys.stdout:  # else it is closed
            sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        _silence()
        return 141
    except errors.Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.code
    except KeyboardInterrupt:
        print('stopped.', file=sys.stderr)
        return 130
    except (errors.UserError, OSError, MemoryError, RuntimeError) as error:
        told = _told(error)
        if not told:
            raise
        print(f'error: {errors.printable(told)}', file=sys.stderr)
        return 2
    return 0


def _told(error: Exception) -> str:
    """The line for a mistake, or for a machine that is too small; none for a defect of ours."""
    said = ' '.join(str(error).split())
    if isinstance(error, errors.UserError):
        return said
    if isinstance(error, MemoryError) or OUT_OF_MEMORY in said:
        why = said[:200] or 'none is left'
        return f'there is not enough memory ({why}). A smaller batch or model takes less.'
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f'{error.strerror}: {str(error.filename)[:200]}'
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        _silence()
        where = f' ({error.filename})' if error.filename else ''
        return f'nothing can be written: {error.strerror}{where}.'
    return ''


def _silence() -> None:
    """What is left to be printed goes nowhere: Python would try again, and complain, at its end."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def script(work: Callable[[], None], about: str | None) -> int:
    """As `enter`, for a script that takes nothing but --help, which shows `about`."""

    def door(argv: Sequence[str]) -> None:
        parser = Parser(description=about)
        parser.refuse(parser.parse_known_args(argv)[1])
        work()

    return enter(door, sys.argv[1:])
