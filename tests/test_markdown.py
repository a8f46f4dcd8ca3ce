"""Tables in Markdown."""

from typing import Literal

import pytest

from pneumo_jax import markdown

COMPACT = '| a | long |\n| --- | --- |\n| one | 1 |\n| x\\|y | 22 |'
LEFT = '| a    | long |\n| ---- | ---- |\n| one  | 1    |\n| x\\|y | 22   |'
RIGHT = '| a    | long |\n| ---- | ---: |\n| one  |    1 |\n| x\\|y |   22 |'


@pytest.mark.parametrize('name', ['x|y', 'x\\|y'])
@pytest.mark.parametrize(('align', 'text'), [('', COMPACT), ('<', LEFT), ('>', RIGHT)])
def test_a_table(align: Literal['', '<', '>'], text: str, name: str) -> None:
    assert markdown.table(('a', 'long'), [['one', '1'], [name, '22']], align) == text


def test_a_rule_is_never_too_short() -> None:
    assert markdown.table(('', 'p'), [['a', '1']], '>').splitlines()[1] == '| --- | --: |'


def test_every_row_has_as_many_cells() -> None:
    with pytest.raises(ValueError, match='zip'):
        markdown.table(('a', 'b'), [['one']])
