"""The sections of an evaluation as tables, for a terminal and as Markdown."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pneumo_jax import markdown as md

NAMES = {
    'auroc': 'AUROC',
    'average_precision': 'average precision',
    'brier': 'Brier score',
    'ece': 'ECE',
    'accuracy': 'accuracy',
    'balanced_accuracy': 'balanced accuracy',
    'sensitivity': 'sensitivity',
    'specificity': 'specificity',
    'ppv': 'PPV',
    'npv': 'NPV',
    'f1': 'F1',
    'mcc': 'MCC',
}
# Said where the intervals are not those of the bootstrap.
EXACT = 'Intervals: exact binomial ones, which take images as independent.'
Found = Mapping[str, Any]


class Table(NamedTuple):
    """Rows under heads; the first column names the row."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ''


def text(found: Found) -> str:
    """The tables for a terminal."""
    parts = [f'{heading(found)}\n{"=" * len(heading(found))}', about(found)]
    parts += [as_text(table) for table in tables(found)]
    return '\n\n'.join(parts) + '\n'


def markdown(found: Found) -> str:
    """The tables as Markdown, with the figures."""
    parts = [f'# {heading(found)}', about(found)]
    parts += [as_markdown(table) for table in tables(found)]
    parts += [f'![{name}](evaluation/{name})' for name in found['figures']]
    return '\n\n'.join(parts) + '\n'


def heading(found: Found) -> str:
    """'PneumoniaMNIST 28 px, test: cnn, seed 0'."""
    return f'{found["data"]["title"]}, {found["data"]["split"]}: {found["title"]}'


def about(found: Found) -> str:
    """What the numbers are of, in a paragraph."""
    about, fitted = found['data'], found['fitted']
    counts = ', '.join(f'{count:,} {name}' for name, count in about['classes'].items())
    units = 'images' if about['patients'] is None else f'the {about["patients"]:,} patients'
    lines = [
        f'{about["images"]:,} images ({counts}). In brackets: 95 % intervals, by '
        f'{about["resamples"]:,} bootstrap resamples of {units}.',
        f'Fitted on the {fitted["images"]:,} images of val: temperature '
        f'{fitted["temperature"]:.3f}'
        + (
            f', and P > {fitted["threshold"]:.4f} for a sensitivity of '
            f'{percent(fitted["sensitivity"])} there.'
            if fitted['threshold'] is not None
            else '.'
        ),
    ]
    if about['split'] == 'val' and not about['external']:
        lines.append('Val is what all this was fitted on: its numbers flatter.')
    return '\n'.join(lines)


RANKED = (
    "AUROC and average precision go by the probabilities before it, as in the run's own results."
)


def tables(found: Found) -> Iterator[Table]:
    """Every table that there is something for."""
    rows = [[NAMES[name], cell(score)] for name, score in found['scores'].items()]
    yield Table('Scores of the probabilities', ['', 'at the fitted temperature'], rows, RANKED)
    decisions = found['decisions']
    first = next(iter(decisions.values()))
    rows = [[NAMES[name], *(cell(told[name]) for told in decisions.values())] for name in first]
    yield Table('Scores of the decisions', ['', *decisions], rows)
    if found['subgroups']:
        yield _subgroups(found['subgroups'])
    if 'prevalence' in found:
        yield _prevalence(found['prevalence'])
    rows = [
        [name, *(cell(told[key]) for key in ('ece', 'brier')), _number(told['loss'])]
        for name, told in found['calibration'].items()
    ]
    heads = ['', 'ECE', 'Brier score', 'cross-entropy']
    yield Table('Calibration', heads, rows, 'Cross-entropy in nats; - where it is infinite.')
    yield _conformal(found['conformal'])
    shares = next(iter(found['uncertainty'].values()))['accuracy']
    rows = [
        [name, *(f'{told["accuracy"][share]:.3f}' for share in shares), f'{told["area"]:.4f}']
        for name, told in found['uncertainty'].items()
    ]
    heads = ['doubt measured by', *(f'{share} kept' for share in shares), 'area']
    note = 'Accuracy on the surest images; the area is that under the error rate, best at 0.'
    yield Table('Rejecting what is uncertain', heads, rows, note)
    rows = [[name, *_share(told)] for name, told in found['ood']['refused'].items()]
    ood = found['ood']
    note = f'Stated rate of false alarms: {ood["stated"]:.1%}; on val: {ood["val"]:.1%}. {EXACT}'
    yield Table('Refused as no upright radiograph', ['', 'refused', 'images'], rows, note)


def _subgroups(found: Found) -> Table:
    decisions = next(iter(found.values()))['decisions']
    rows = []
    for kind, told in found.items():
        for rate in next(iter(told['decisions'].values())):
            cells = [cell(told['decisions'][name][rate]) for name in decisions]
            rows.append([kind, f'{told["images"]:,}', cell(told['auroc']), NAMES[rate], *cells])
    heads = ['', 'images', 'AUROC', 'rate', *decisions]
    note = 'AUROC: a kind of one class is held against all images of the other.'
    return Table('Sub-groups', heads, rows, note)


def _prevalence(found: Found) -> Table:
    corrected = found['probabilities']
    columns = {**corrected, 'operating point': found['operating point']}
    rows = [
        [NAMES[name], *(cell(told[name]) if name in told else '' for told in columns.values())]
        for name in corrected['corrected']
    ]
    note = (
        'Images are weighted to it; probabilities corrected to it by Bayes, from the shares that '
        'they speak for.'
    )
    title = f'At a prevalence of {found["prevalence"]:.1%}'
    return Table(title, ['', *columns], rows, note)


def _conformal(found: Found) -> Table:
    title = (
        f'Sets that hold the true class, stated for {percent(1 - found["alpha"])} of every class'
    )
    columns = {
        'coverage': 'held',
        'ask a radiologist': 'several classes',
        'empty': 'empty at first',
        'coverage with empty sets': 'held if left empty',
    }
    rows = [
        [name, f'{told["images"]:,}', *(_share(found[key][name])[0] for key in columns)]
        for name, told in found['coverage'].items()
    ]
    errors = found['errors where it answers']
    note = (
        f'Errors among the {errors["images"]:,} images with one class in the set: '
        f'{_share(errors)[0]}.\nSeveral classes: ask a radiologist; an empty set, of an image '
        'unlike every class, counts as all.\nWhere coverage falls short of what is stated, these '
        f'images are not like those of val. {EXACT}'
    )
    return Table(title, ['', 'images', *columns.values()], rows, note)


def cell(score: Mapping[str, float | None]) -> str:
    """0.912 [0.890, 0.934], or undefined."""
    if score['value'] is None:
        return 'undefined'
    if score['low'] is None:
        return f'{score["value"]:.3f}'
    return f'{score["value"]:.3f} [{score["low"]:.3f}, {score["high"]:.3f}]'


def percent(share: float) -> str:
    """95%, or 99.9%: as many digits as were asked for."""
    return f'{100 * share:g}%'


def _share(told: Found) -> list[str]:
    if told['value'] is None:
        return ['-', '0']
    cell = f'{told["value"]:.1%} [{told["low"]:.1%}, {told["high"]:.1%}]'
    return [cell, f'{told["images"]:,}']


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'


def as_text(table: Table) -> str:
    """Columns under each other."""
    grid = [table.heads, *table.rows]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [table.title, '']
    for row in grid:
        cells = zip(row[1:], widths[1:], strict=True)
        lines.append(row[0].ljust(widths[0]) + ''.join(f'  {cell:>{w}}' for cell, w in cells))
    return '\n'.join([*lines, *([table.note] if table.note else [])])


def as_markdown(table: Table) -> str:
    """A heading and a table."""
    parts = [f'## {table.title}', md.table(table.heads, table.rows, '>'), table.note]
    return html.escape('\n\n'.join(filter(None, parts)), quote=False)  # names are the data's
