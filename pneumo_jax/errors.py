"""Mistakes of the user's, and their wish to stop; and how a name is told of without harm."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used.

    The command-line doors print its message as one line, without a traceback, and exit with
    code 2. The message says what was given, what is allowed and what to do.
    """


class Stopped(Exception):  # noqa: N818  stopping is no error
    """Ctrl-C or SIGTERM came, and the state is saved; `code` is what a shell gives the signal."""

    def __init__(self, signum: int, done: int, total: int, what: str = 'step') -> None:
        super().__init__(
            f'stopped and saved after {what} {done} of {total}; the same command resumes'
        )
        self.code = 128 + signum


def unknown(kind: str, given: object, allowed: Iterable[object]) -> UserError:
    """The error for a name that is not in a table, with the nearest one that is."""
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f'did you mean {near[0]!r}? ' if near else ''
    return UserError(f'unknown {kind} {str(given)!r}: {hint}Allowed: {", ".join(names)}.')


def printable(text: str) -> str:
    """A line without signs that a terminal obeys, or that no encoding has."""
    return ''.join(sign if sign.isprintable() else '?' for sign in text)
