"""The summaries as Markdown, and where that goes."""

import pathlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from pneumo_jax import errors, files, markdown
from pneumo_jax.evaluation.statistics import RESAMPLES
from pneumo_jax.sweep.study import Study
from pneumo_jax.sweep.summary import INTERVALS, Summary, recall

HEADS = (
    *('row', 'seeds', 'test AUROC [95 % CI]', 'test ACC [95 % CI]', '{recall}'),
    *('sensitivity', 'ensemble AUROC', 'ensemble ACC', 'val AUROC'),
    *('p (AUROC)', 'p (errors)'),
)
WEIGHTS = {'last': "the last epoch's weights", 'best': 'the weights that were best on val'}


def table(study: Study, found: Sequence[Summary], weights: Sequence[str]) -> str:
    """How it was done, and a line for every row; `weights` are what the rows' configs score."""
    rows = [_row(study, summary) for summary in found]
    heads = [head.format(recall=recall(found)) for head in HEADS]
    return f'{_method(study, found, weights)}\n\n{markdown.table(heads, rows)}'


def seeds(found: Sequence[Summary]) -> str:
    """A line for every run."""
    heads = ('row', 'seed', 'test AUROC', 'test ACC', recall(found))
    rows = [
        [summary.row, run.line['seed'], *(f'{run.score("test", m):.4f}' for m in INTERVALS)]
        for summary in found
        for run in summary.runs
    ]
    return markdown.table(heads, rows)


def place(text: str, name: str, readme: pathlib.Path) -> None:
    """Put `text` between the two `<!-- name -->` of a README, where it has them.

    Raises UserError where there is one mark, or more than two, or it is no text.
    """
    mark = f'<!-- {name} -->'
    try:
        old = readme.read_bytes().decode('utf-8') if readme.exists() else ''
    except UnicodeDecodeError as error:
        raise errors.UserError(f'{readme} is not UTF-8: {error}.') from error
    count = old.count(mark)
    if count not in (0, 2):
        raise errors.UserError(f'{readme} has the mark {mark} {count} times: 2 are needed, or 0.')
    block = f'{mark}\n{text}\n{mark}'
    if '\r\n' in old:
        block = block.replace('\n', '\r\n')
    new = re.sub(f'{re.escape(mark)}.*{re.escape(mark)}', lambda _: block, old, flags=re.DOTALL)
    if new != old:
        files.write_text(readme, new)


def publish(text: str, path: pathlib.Path, readme: pathlib.Path) -> None:
    """Print `text`, keep it as `path`, and place it in a README under the name of that file."""
    files.write_text(path, f'{text}\n')
    place(text, path.stem, readme)
    print(text)


def _method(study: Study, found: Sequence[Summary], weights: Sequence[str]) -> str:
    lines = [run.line for summary in found for run in summary.runs]
    images = ', '.join(_each(line['test_n'] for line in lines)) or 'no'
    tested = sum(summary.p_auroc is not None for summary in found)
    scored = ' or '.join(WEIGHTS[name] for name in WEIGHTS if name in weights)
    commits = ', '.join(_each(_short(line['commit']) for line in lines)) or 'none'
    devices = '; '.join(_each(line['device'] for line in lines)) or 'none'
    versions = ', '.join(_each(line['jax'] for line in lines)) or 'none'
    return (
        f'{images} test images, scored after training, with {scored}. Mean +- standard deviation '
        'over seeds (each is in `results/seeds.md`); in brackets the 95 % interval of that mean, '
        f'from {RESAMPLES} resamples of the images. Ensemble: the mean probability of the seeds. '
        f'p: against `{study.baseline}`, Holm-corrected (rows: {tested}); AUROC by paired '
        "bootstrap of the seeds' mean, errors by McNemar's exact test of the ensembles' decisions. "
        f'Commit {commits}; {devices}; jax {versions}.'
    )


def _row(study: Study, summary: Summary) -> list[str]:
    name = f'`{summary.row}`' + (f' {summary.note}' if summary.note else '')
    if not summary.runs:
        return [name, f'0 of {len(study.seeds)}', 'not run', *['-'] * (len(HEADS) - 3)]
    count, all_of_them = len(summary.runs), len(study.seeds)
    return [
        name,
        str(count) if count == all_of_them else f'{count} of {all_of_them}',
        f'{spread(summary.scores("test", "auroc"), 4)} {_interval(summary, "auroc")}',
        f'{spread(summary.scores("test", "accuracy"))} {_interval(summary, "accuracy")}',
        *(spread(summary.scores('test', m)) for m in ('specificity', 'sensitivity')),
        f'{summary.ensemble["auroc"]:.4f}',
        f'{summary.ensemble["accuracy"]:.3f}',
        spread(summary.scores('val', 'auroc'), 4),
        *(_p(p) for p in (summary.p_auroc, summary.p_errors)),
    ]


def spread(scores: Float[np.ndarray, ' s'], digits: int = 3) -> str:
    """'0.953 +- 0.004': mean and sample standard deviation."""
    sd = f'{np.std(scores, ddof=1):.{digits}f}' if len(scores) > 1 else '-'
    return f'{scores.mean():.{digits}f} +- {sd}'


def _interval(summary: Summary, metric: str) -> str:
    low, high = summary.intervals[metric]
    return f'[{low:.3f}, {high:.3f}]'


def _p(p: float | None) -> str:
    if p is None:
        return '-'
    return f'{p:.3f}' if p >= 0.001 else '< 0.001'


def _each(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _short(commit: str) -> str:
    """A hash by its first seven digits, with '+changes' where it has that."""
    return re.sub(r'^([0-9a-f]{7})[0-9a-f]{33}', r'\1', commit)
