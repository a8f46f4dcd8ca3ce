"""The part of the report that has numbers."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pneumo_jax.evaluation import tables
from pneumo_jax.evaluation.tables import NAMES, Table
from pneumo_jax.reporting import html, trust, words
from pneumo_jax.reporting.facts import SCORED, Facts, alone
from pneumo_jax.reporting.html import Html

Drawn = dict[str, pathlib.Path]
NARROW = {'confusion', 'scores'}  # figures of which two fit beside each other
SCORES = ('auroc', 'accuracy', 'sensitivity', 'specificity')


def sections(facts: Facts, drawn: Drawn) -> Iterator[tuple[str, Html]]:
    """Every section with its title."""
    yield html.section('Val and test', *_scores(facts))
    if len(facts.folders) > 1:
        yield html.section('Each member by itself', *(_members(facts, s) for s in reversed(SCORED)))
    ranks = (
        'Pointwise 95 % bands of the bootstrap.' if facts.binary else 'A class against the rest.'
    )
    title = 'ROC and precision-recall' if facts.binary else 'ROC'
    yield _shown(title, drawn, ('roc_pr', 'roc'), ranks)
    decided = 'The most probable class; shares are of the true class.'
    yield _shown('Confusion matrix', drawn, ('confusion',), decided)
    yield _shown('Reliability', drawn, ('reliability',), RELIABILITY, trust.calibration(facts))
    of = facts.loaded.classes[1] if facts.binary else 'the true class'
    given = f'Images by the probability of {of}, a row a class or kind.'
    yield _shown('Scores by class', drawn, ('scores',), given)
    if facts.binary:
        yield html.section('Operating point', html.element('p', trust.operating_point(facts)))
    told = html.element('p', trust.promise(facts))
    yield _shown('Conformal sets', drawn, ('conformal',), CONFORMAL, told, trust.conformal(facts))
    yield _shown(
        'Rejecting what is uncertain', drawn, ('rejection',), REJECTION, trust.doubt(facts)
    )
    yield html.section('Images that are no upright radiographs', trust.refused(facts))
    yield html.section('Sub-groups', _subgroups(facts))
    yield html.section('The surest mistakes', *_mistakes(facts, drawn))


RELIABILITY = 'Dots on the line mean what they say. What is fitted was fitted on val.'
CONFORMAL = 'Left: coverage reached on test against what is stated. On the line it is kept.'
REJECTION = 'Accuracy on test where the most doubtful images are left to a reader.'


def _shown(
    title: str, drawn: Drawn, names: tuple[str, ...], caption: str, *more: Html
) -> tuple[str, Html]:
    """A section with the figures of these names of either split, test first, and `more` above."""
    found = [
        html.figure(drawn[key].with_suffix('.svg'), f'{split.capitalize()}. {caption}')
        for split in reversed(SCORED)
        for name in names
        if (key := f'{name}_{split}') in drawn
    ]
    narrow = set(names) <= NARROW
    return html.section(title, *more, *([html.beside(found)] if narrow else found))


def _beside(pair: list[Mapping[str, Any]]) -> list[list[str]]:
    return [[NAMES[name], *(tables.cell(own[name]) for own in pair)] for name in pair[0]]


def _scores(facts: Facts) -> Iterator[Html]:
    counts = [f'{split}, n = {len(facts.seen[split].labels):,}' for split in SCORED]
    heads = ['', *counts]
    yield html.table(Table('Probabilities', heads, _beside(facts.both('scores'))))
    for name in facts.found['test']['decisions']:
        rows = _beside(facts.both('decisions', name))
        yield html.table(Table(f'Decisions: {name}', heads, rows))
    yield html.element('p', tables.about(facts.found['test']), class_='note')
    yield html.element('p', words.times_scored(facts), class_='note')


def _members(facts: Facts, split: str) -> Html:
    names = SCORES if facts.binary else SCORES[:2]
    each = alone(facts, split)
    values = np.array([[float(scores[name]) for name in names] for scores in each])
    folders = ['/'.join(folder.resolve().parts[-2:]) for folder in facts.folders]
    rows = [
        [folder, *(f'{x:.3f}' for x in row)] for folder, row in zip(folders, values, strict=True)
    ]
    spread = zip(values.mean(0), values.std(0, ddof=1), strict=True)
    rows.append(['mean, sd', *(f'{mean:.3f}, {sd:.3f}' for mean, sd in spread)])
    together = words.headline(facts, split)
    rows.append(['ensemble', *(tables.cell(together[name]) for name in names)])
    title = f'{split.capitalize()}, {len(facts.seen[split].labels):,} images'
    return html.table(Table(title, ['', *(NAMES[name] for name in names)], rows))


def _subgroups(facts: Facts) -> Html:
    found = facts.found['test']['subgroups']
    if not found:
        why = 'None are known: a table with the columns split, index, patient and kind names them'
        return html.element('p', f'{why} (--config.data.groups=FILE.csv of the run).')
    ways = list(next(iter(found.values()))['decisions'])
    rows = [
        [kind, f'{told["images"]:,}', tables.cell(told['auroc']), NAMES[rate]]
        + [tables.cell(told['decisions'][way][rate]) for way in ways]
        for kind, told in found.items()
        for rate in told['decisions'][ways[0]]
    ]
    note = 'On test. AUROC: a kind of one class is held against all images of the other.'
    return html.table(Table('', ['', 'images', 'AUROC', 'rate', *ways], rows, note))


def _mistakes(facts: Facts, drawn: Drawn) -> Iterator[Html]:
    wrong = facts.seen['test'].logits.argmax(1) != facts.seen['test'].labels
    yield html.element(
        'p', f'{wrong.sum():,} of {len(wrong):,} test images are given to a wrong class.'
    )
    if 'mistakes' in drawn:
        caption = (
            'The wrong answers given with the highest probability, as many of each true class as '
            'there are, up to an equal share. Colours: where the image speaks for the class that '
            'was given. A map is evidence of what the model went by, not of disease.'
        )
        yield html.figure(drawn['mistakes'].with_suffix('.png'), caption)
