"""Predictions as a table on the terminal."""

import pathlib
from collections.abc import Sequence
from typing import Any

from pneumo_jax.deploy.walk import File
from pneumo_jax.errors import printable

WIDEST = 60  # characters of a file's path


class Screen:
    """Lines of one width, as they come: file, class, probability, set and entropy."""

    def __init__(self, files: Sequence[File], classes: Sequence[str]) -> None:
        # Of two classes the second is the ill one, and its probability the one to look at.
        self._judged = classes[1] if len(classes) == 2 else None
        self._width = max(4, *(len(shown(file.path)) for file in files))
        self._class = max(5, *map(len, classes))
        self._set = len(' or '.join(classes))
        self._begun = False

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Print the rows, below a heading."""
        if not self._begun:
            self._begun = True
            self._line('file', 'class', f'P({self._judged or "class"})', 'set', 'entropy', '')
        for row in rows:
            probability = row[f'p_{self._judged or row["class"]}']
            held = '-' if row['set'] is None else ' or '.join(row['set'])
            warning = 'no radiograph?' if row['radiograph'] is False else ''
            name = shown(pathlib.Path(row['file']))
            self._line(
                name, row['class'], f'{probability:.4f}', held, f'{row["entropy"]:.2f}', warning
            )

    def _line(
        self, name: str, kind: str, probability: str, held: str, bits: str, more: str
    ) -> None:
        head = len(f'P({self._judged or "class"})')
        kind, held = printable(kind), printable(held)
        line = f'{name:{self._width}}  {kind:{self._class}}  {probability:>{head}}  '
        print(f'{line}{held:{self._set}}  {bits:>7}  {more}'.rstrip())


def shown(path: pathlib.Path) -> str:
    """A path to look at: its end where it is long, on one line."""
    name = printable(str(path))
    return name if len(name) <= WIDEST else f'...{name[3 - WIDEST :]}'
