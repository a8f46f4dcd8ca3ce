"""The parts a report is made of."""

import numpy as np
import pytest

from pneumo_jax.evaluation.tables import Table
from pneumo_jax.reporting import html, mistakes


def test_what_is_no_markup_is_escaped() -> None:
    assert html.element('p', '<b>x</b>') == '<p>&lt;b&gt;x&lt;/b&gt;</p>'
    assert html.element('p', html.element('b', 'x')) == '<p><b>x</b></p>'
    assert html.element('p', 'x', class_='"><b>') == '<p class="&quot;&gt;&lt;b&gt;">x</p>'
    shown = html.table(Table('<i>', ['<b>x</b>'], [['<b>y</b>']], '<b>z</b>'))
    assert '<b>' not in shown and '<i>' not in shown
    assert 'x' in shown and 'y' in shown and 'z' in shown


def test_the_surest_mistakes_of_every_class_come_first() -> None:
    p = np.array([0.9, 0.99, 0.2, 0.6, 0.4, 0.01, 0.8])
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    probabilities = np.stack([1 - p, p], 1)
    assert mistakes.surest(probabilities, labels, 12).tolist() == [1, 0, 3, 5, 4]
    assert mistakes.surest(probabilities, labels, 2).tolist() == [1, 5]
    assert mistakes.surest(probabilities[:2], labels[:2], 1).tolist() == [1]


@pytest.mark.parametrize('classes', [2, 40])
def test_there_are_no_more_mistakes_than_asked_for(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 500)
    logits = rng.random((500, classes))
    found = mistakes.surest(logits / logits.sum(1, keepdims=True), labels)
    assert 0 < len(found) <= mistakes.COUNT
    assert (logits.argmax(1)[found] != labels[found]).all()


def test_without_mistakes_none_are_shown() -> None:
    assert mistakes.surest(np.eye(3), np.arange(3)).tolist() == []
