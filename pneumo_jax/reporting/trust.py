"""How far a run's answers can be relied on: calibration, sets, doubt, and what is refused."""

from collections.abc import Mapping
from typing import Any

from pneumo_jax.evaluation import tables
from pneumo_jax.evaluation.tables import Table
from pneumo_jax.reporting import html, words
from pneumo_jax.reporting.facts import SCORED, Facts
from pneumo_jax.reporting.html import Html


def calibration(facts: Facts) -> Html:
    """ECE and Brier score before and after, on val and on test."""
    val, test = facts.both('calibration')
    rows = [
        [name, *(tables.cell(own[name][key]) for key in ('ece', 'brier') for own in (val, test))]
        for name in test
    ]
    heads = ['', 'ECE, val', 'ECE, test', 'Brier score, val', 'Brier score, test']
    return html.table(Table('', heads, rows))


def operating_point(facts: Facts) -> str:
    """The threshold and what it reaches, in a sentence."""
    fit = facts.fitted
    val, test = (each['sensitivity'] for each in facts.both('decisions', 'operating point'))
    return (
        f'{facts.loaded.classes[1]} where P > {fit.threshold:.4f}: on val the highest threshold '
        f'with a sensitivity of {tables.percent(fit.sensitivity)} at least. Reached: '
        f'{tables.cell(val)} on val, {tables.cell(test)} on test.'
    )


def promise(facts: Facts) -> str:
    """What the sets promise and what they reach on test, in words."""
    strict, told = facts.found['test']['conformal']['coverage with empty sets'], []
    for name, own in words.coverage(facts, 'test').items():
        kept = own['value'] >= 1 - facts.fitted.alpha
        word = 'falls short' if words.falls_short(facts, own) else 'is kept' if kept else 'is near'
        empty = f'({strict[name]["value"]:.1%} where empty sets are left empty)'
        told.append(f'{name} {own["value"]:.1%} {empty}, the promise {word}')
    return (
        f'Promised: the set holds the true class for {facts.promised} of '
        f'every class, if images are like those of val. Reached on test: {"; ".join(told)}.'
    )


def conformal(facts: Facts) -> Html:
    """Coverage promised and reached."""
    val, test = facts.both('conformal')
    rows = [
        [
            name,
            facts.promised,
            _share(val['coverage'][name]),
            _share(test['coverage'][name]),
            _share(test['coverage with empty sets'][name]),
            _share(test['ask a radiologist'][name]),
        ]
        for name in test['coverage']
    ]
    heads = ['', 'promised', 'held, val', 'held, test', 'the same, empty sets left empty']
    note = (
        'Val is what the sets were calibrated on, so it keeps the promise by construction. A set '
        'that would be empty holds all classes: ask a radiologist. 95 % intervals.'
    )
    return html.table(Table('', [*heads, 'several classes, test'], rows, note))


def doubt(facts: Facts) -> Html:
    """Accuracy where the most doubtful images are rejected."""
    rows, shares = [], list(facts.both('uncertainty', 'entropy', 'accuracy')[0])
    for split in SCORED:
        for name, told in facts.found[split]['uncertainty'].items():
            accuracy = [f'{told["accuracy"][share]:.3f}' for share in shares]
            rows.append([f'{split}: {name}', *accuracy, f'{told["area"]:.4f}'])
    heads = ['doubt measured by', *(f'{share} kept' for share in shares), 'area']
    note = 'Accuracy on the surest images; the area is that under the error rate, best at 0.'
    return html.table(Table('', heads, rows, note))


def refused(facts: Facts) -> Html:
    """How many images of every kind are refused before they are judged."""
    val, test = facts.both('ood', 'refused')
    rows = [['val', _share(val['val']), f'{val["val"]["images"]:,}']]
    rows += [[name, _share(told), f'{told["images"]:,}'] for name, told in test.items()]
    note = f'Stated rate of false alarms: {facts.fitted.refused:.1%} of images such as val.'
    return html.table(Table('', ['', 'refused', 'images'], rows, note))


def _share(told: Mapping[str, Any]) -> str:
    if told['value'] is None:
        return '-'
    return f'{told["value"]:.1%} [{told["low"]:.1%}, {told["high"]:.1%}]'
