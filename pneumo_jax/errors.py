"""The one exception that stands for a mistake of the user's, and the sentence that mends it."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used.

    The command-line doors print its message as one line, without a traceback, and exit with
    code 2. The message says what was given, what is allowed and what to do.
    """


def unknown(kind: str, given: object, allowed: Iterable[object]) -> UserError:
    """The error for a name that is not in a table, with the nearest one that is."""
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f'did you mean {near[0]!r}? ' if near else ''
    return UserError(f'unknown {kind} {str(given)!r}: {hint}Allowed: {", ".join(names)}.')
