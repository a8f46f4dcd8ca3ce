"""What all figures share."""

import pathlib
import warnings

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
