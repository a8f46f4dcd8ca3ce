"""The model card: Markdown under the metadata of the Hugging Face Hub.

Mitchell et al. 2019, Model Cards for Model Reporting (arXiv:1810.03993).
"""

import html
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pneumo_jax import config, markdown
from pneumo_jax.evaluation import tables
from pneumo_jax.reporting import sources, words
from pneumo_jax.reporting.facts import SCORED, Facts

if TYPE_CHECKING:
    from huggingface_hub.repocard_data import EvalResult, ModelCardData

# The names under which the Hub knows the scores.
METRICS = {
    'auroc': 'roc_auc',
    'accuracy': 'accuracy',
    'sensitivity': 'recall',
    'specificity': 'specificity',
    'balanced_accuracy': 'balanced_accuracy',
}

TAGS = ('medical-imaging', 'jax', 'flax', 'research', 'not-a-medical-device')


def render(facts: Facts) -> str:
    """The card, whose metadata `huggingface_hub.ModelCard` reads."""
    body = '\n\n'.join(_body(facts))
    return f'---\n{metadata(facts).to_yaml()}\n---\n\n{body}\n'


def metadata(facts: Facts) -> 'ModelCardData':
    """Licence, tags, data and results; a score that is undefined is left out."""
    from huggingface_hub.repocard_data import ModelCardData

    source, told = words.source(facts), words.headline(facts)
    return ModelCardData(
        license=source.licence,
        license_name='not-recorded' if source.licence == 'other' else None,
        library_name='flax',
        pipeline_tag='image-classification',
        tags=[*TAGS, *(['chest-x-ray'] if facts.official == 'pneumoniamnist' else [])],
        datasets=[source.name] if source.name else None,
        metrics=[METRICS[name] for name in told],
        model_name=facts.title,
        eval_results=[
            _result(facts, name, score)
            for name, score in told.items()
            if score['value'] is not None
        ],
    )


def _result(facts: Facts, name: str, score: dict[str, float | None]) -> 'EvalResult':
    from huggingface_hub.repocard_data import EvalResult

    return EvalResult(
        task_type='image-classification',
        dataset_type=words.source(facts).name or 'custom',
        dataset_name=facts.dataset.title,
        dataset_split='test',
        metric_type=METRICS[name],
        metric_name=tables.NAMES[name],
        metric_value=score['value'],
        metric_args={
            'n': len(facts.seen['test'].labels),
            'interval_95': [score['low'], score['high']],
        },
    )


def _body(facts: Facts) -> Iterator[str]:
    yield f'# {plain(facts.title)}'
    yield f'**{words.WARNING}**'
    yield plain(words.verdict(facts))
    yield f'## What it is\n\n{_what(facts)}'
    yield _listing('Intended use', words.intended(facts))
    yield _listing('Out-of-scope use', words.forbidden(facts))
    yield _listing('Data', list(_data(facts)))
    yield f'## Training\n\n{_training(facts)}'
    yield '## Evaluation'
    yield from _evaluation(facts)
    yield _listing('Limitations', words.limitations(facts))
    yield f'## How to use\n\n{_usage(facts)}'
    if words.source(facts).citations:
        yield _listing('How to cite the data', list(words.source(facts).citations))


def _what(facts: Facts) -> str:
    height, width, channels = facts.dataset.image_shape
    colour = 'grey' if channels == 1 else 'colour'
    many = len(facts.folders)
    models = f'{many} models, whose probabilities are averaged' if many > 1 else 'one model'
    licence = sources.licence(words.source(facts))
    return plain(
        f'{facts.loaded.title}: {models}, in JAX and Flax. An image of {height} x {width} px '
        f'({colour}) gives probabilities of: {", ".join(facts.loaded.classes)}. Licence of the '
        f'weights: as that of the data they were made from ({licence}).'
    )


def _data(facts: Facts) -> Iterator[str]:
    source = words.source(facts)
    yield f'{facts.dataset.title}: {source.origin}. Licence of the data: {sources.licence(source)}.'
    yield f'Of whom: {source.population}.'
    counts = {s: len(getattr(facts.dataset, s).labels) for s in ('train', *SCORED)}
    yield 'Images: ' + ', '.join(f'{split} {count:,}' for split, count in counts.items()) + '.'
    yield f'SHA-256 of all images and labels: {facts.dataset.digest}'


def _training(facts: Facts) -> str:
    parts = []
    for record in facts.loaded.records:
        rows = [[field, str(value)] for field, value in config.stated(record['config']).items()]
        origin = record['origin']
        rows += [[name, str(origin[name])] for name in ('command', 'commit', 'device')]
        parts.append(_table(['field', 'value'], rows))
    return '\n\n'.join([*parts, 'What is not named has the defaults of `pneumo_jax/fields.py`.'])


def _evaluation(facts: Facts) -> Iterator[str]:
    told = {split: words.headline(facts, split) for split in SCORED}
    rows = [
        [tables.NAMES[name], *(tables.cell(told[split][name]) for split in SCORED)]
        for name in told['test']
    ]
    rows.append(['n, images', *(f'{len(facts.seen[split].labels):,}' for split in SCORED)])
    yield 'The most probable class decides; 95 % intervals in brackets.'
    yield _table(['', *SCORED], rows)
    rows = [
        [name, facts.promised, f'{own["value"]:.1%}', f'{own["images"]:,}']
        for name, own in words.coverage(facts, 'test').items()
    ]
    yield 'Conformal sets, calibrated on val:'
    yield _table(['class', 'promised', 'held, test', 'images'], rows)
    yield words.times_scored(facts)


def _usage(facts: Facts) -> str:
    first, *others = map(str, facts.loaded.runs)
    words = ['predict', first, 'IMAGE.png', *(['--with', *others] if others else [])]
    return f'```\nuv run python -m pneumo_jax {shlex.join(words)}\n```'


def plain(text: str) -> str:
    """Text from data as Markdown that shows it as it is, in one line."""
    escaped = html.escape(' '.join(text.split()), quote=False)
    return ''.join(f'\\{c}' if c in '\\`*_[]|#' else c for c in escaped)


def _listing(title: str, points: list[str]) -> str:
    return f'## {title}\n\n' + '\n'.join(f'- {plain(point)}' for point in points)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return markdown.table(heads, [[plain(cell) for cell in row] for row in rows])
