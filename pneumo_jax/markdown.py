"""Tables in Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], align: Literal['', '<', '>'] = ''
) -> str:
    """A table, without an end to its last line; a `|` in a cell is escaped where it is not yet.

    With `align` its columns are padded, to be read as plain text too: '<' has them to the left, '>'
    all but the first to the right.
    """
    grid = [[re.sub(r'(?<!\\)\|', r'\\|', cell) for cell in cells] for cells in (heads, *rows)]
    widths = [max(3, *map(len, column)) if align else 0 for column in zip(*grid, strict=True)]
    sides = ['<', *[align or '<'] * (len(heads) - 1)]
    rule = [
        '-' * ((width or 3) - 1) + (':' if side == '>' else '-')
        for width, side in zip(widths, sides, strict=True)
    ]
    lines = (
        ' | '.join(f'{c:{side}{w}}' for c, side, w in zip(cells, sides, widths, strict=True))
        for cells in (grid[0], rule, *grid[1:])
    )
    return '\n'.join(f'| {line} |' for line in lines)
