"""The report as one page, in the order in which a careful reader asks."""

import pathlib
from collections.abc import Iterator
from typing import Any

from pneumo_jax import config
from pneumo_jax.data.dataset import SPLITS
from pneumo_jax.evaluation.tables import Table
from pneumo_jax.reporting import html, results, sources, words
from pneumo_jax.reporting.facts import Facts
from pneumo_jax.reporting.html import Html

Drawn = dict[str, pathlib.Path]  # the figures, without their ending
Section = tuple[str, Html]


def render(facts: Facts, drawn: Drawn) -> str:
    """The whole document."""
    parts = [_data(facts, drawn), _recipe(facts), _curves(drawn)]
    parts += [part for part in results.sections(facts, drawn) if part]
    parts += list(_end(facts))
    return html.page(
        f'Report: {facts.title}',
        html.element('h1', f'Report: {facts.title}'),
        html.element('p', words.verdict(facts), class_='verdict'),
        html.element('p', html.element('strong', words.WARNING), class_='warning'),
        html.contents([title for title, _ in parts]),
        *(content for _, content in parts),
    )


def _data(facts: Facts, drawn: Drawn) -> Section:
    source = words.source(facts)
    heads = ['', *SPLITS]
    labels = [getattr(facts.dataset, split).labels for split in SPLITS]
    rows = []
    for label, name in enumerate(facts.loaded.classes):
        counts = [int((own == label).sum()) for own in labels]
        cells = [f'{n:,} ({n / len(own):.1%})' for n, own in zip(counts, labels, strict=True)]
        rows.append([name, *cells])
    rows.append(['all images', *(f'{len(own):,}' for own in labels)])
    told = [facts.patients[split] for split in SPLITS]
    rows.append(['patients', *('not known' if p is None else f'{len(set(p)):,}' for p in told)])
    about = [
        f'Source: {source.origin}. Licence: {sources.licence(source)}.',
        f'Of whom: {source.population}.',
        f'SHA-256 of all images and labels: {facts.dataset.digest}',
    ]
    shared = words.shared_patients(facts)
    if shared:
        about.append(f'{shared} val images are of a patient who is in train as well.')
    caption = 'The first images of every class of train.'
    return html.section(
        'Data',
        html.table(Table('', heads, rows)),
        html.listing(about),
        html.figure(drawn['samples'].with_suffix('.png'), caption),
    )


def _recipe(facts: Facts) -> Section:
    tables = [
        html.table(Table(title, [], list(_of_run(record))), 'words')
        for title, record in zip(_names(facts), facts.loaded.records, strict=True)
    ]
    note = 'Fields that are not named have the defaults of pneumo_jax/fields.py.'
    return html.section('Recipe', html.element('p', note), *tables)


def _names(facts: Facts) -> list[str]:
    several = len(facts.loaded.runs) > 1
    return [str(run) if several else '' for run in facts.loaded.runs]


def _of_run(record: dict[str, Any]) -> Iterator[list[str]]:
    for field, value in config.stated(record['config']).items():
        yield [field, str(value)]
    origin = record['origin']
    yield ['command', origin['command']]
    yield ['commit', origin['commit']]
    yield ['device', origin['device']]
    versions = {'python': origin['python'], **origin['versions']}
    yield ['versions', ', '.join(f'{name} {version}' for name, version in versions.items())]


def _curves(drawn: Drawn) -> Section:
    names = [name for name in drawn if name.startswith('learning_curves')]
    caption = 'Loss, accuracy and AUROC after every epoch; of several seeds their mean.'
    shown = [html.figure(drawn[name].with_suffix('.svg'), caption) for name in names]
    return html.section(
        'Learning curves', *(shown or [html.element('p', 'The run has kept none.')])
    )


def _end(facts: Facts) -> Iterator[Section]:
    yield html.section('Limitations', html.listing(words.limitations(facts)))
    forbidden = html.listing(words.forbidden(facts))
    warning = html.element('p', html.element('strong', words.WARNING), class_='warning')
    yield html.section('What the model must not be used for', warning, forbidden)
    source = words.source(facts)
    licence = sources.licence(source)
    how = f'Whoever publishes what is made of these data cites them (licence: {licence}):'
    unknown = 'The data were given as files; their source is not recorded in the run.'
    yield html.section(
        'How to cite the data',
        html.element('p', how if source.citations else unknown),
        html.listing(list(source.citations)),
    )
