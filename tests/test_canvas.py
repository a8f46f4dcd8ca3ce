"""What all figures share."""

import pathlib
import warnings
from xml.etree import ElementTree

import pytest
from PIL import Image

from pneumo_jax import canvas

NAME = '$\\nothing$ of 5 $ \udcff'


def test_a_dollar_in_a_name_is_no_formula(tmp_path: pathlib.Path) -> None:
    figure = canvas.figure(4, 3, NAME)
    axes = figure.subplots()
    axes.plot([1, 1000], [1, 2], label=NAME)
    axes.set(xlabel=NAME, xscale='log', title=NAME)
    axes.set_yticks([1, 2], [canvas.cut(NAME)] * 2)
    axes.legend()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        canvas.save(figure, tmp_path / 'figure.png')
    assert 'mathdefault' in axes.get_xticklabels()[1].get_text(), 'a power of ten is a formula'


@pytest.mark.parametrize('ending', ['png', 'svg'])
def test_a_figure_is_what_its_name_says_and_always_the_same(
    tmp_path: pathlib.Path, ending: str
) -> None:
    paths = [tmp_path / place / f'figure.{ending}' for place in ('a', 'b')]
    for path in paths:
        path.parent.mkdir()
        figure = canvas.figure(4, 3, 'Title')
        figure.subplots().plot([1, 2], [1, 2])
        canvas.save(figure, path)
    if ending == 'svg':
        assert ElementTree.parse(paths[0]).getroot().tag == '{http://www.w3.org/2000/svg}svg'
    else:
        with Image.open(paths[0]) as image:
            assert image.format == 'PNG'
    assert paths[0].read_bytes() == paths[1].read_bytes()
