"""What rows say together, against the functions and by hand; and its Markdown."""

import dataclasses
import pathlib
import statistics as plain
from collections.abc import Callable

import numpy as np
import pytest

from pneumo_jax.errors import UserError
from pneumo_jax.evaluation import statistics
from pneumo_jax.sweep import store, summary, table
from pneumo_jax.sweep import study as studies
from pneumo_jax.sweep.store import Kept
from pneumo_jax.sweep.study import Row, Run, Study


@pytest.fixture
def kept(finish: Callable[..., list[Run]]) -> list[Kept]:
    """The four runs of `tiny`."""
    return [store.collect(r, pathlib.Path('runs/tiny', r.name), '1.5') for r in finish()]


@pytest.fixture
def study(folder: pathlib.Path) -> Study:
    return studies.read(folder)


def seeds_of(kept: list[Kept]) -> np.ndarray:
    return np.stack([run.splits['test'][0] for run in kept])


def test_summaries(study: Study, kept: list[Kept]) -> None:
    narrow, wide = summary.summaries(study, kept)
    a, b, labels = seeds_of(kept[:2]), seeds_of(kept[2:]), kept[0].splits['test'][1]
    assert narrow.intervals['auroc'] == statistics.bootstrap(a, labels, 'auroc')
    assert wide.ensemble['accuracy'] == np.mean((b.mean(0) > 0.5) == labels)
    assert (narrow.p_auroc, narrow.p_errors) == (None, None)
    assert wide.p_auroc == statistics.paired_bootstrap(b, a, labels, 'auroc')[-1]
    right = [(each.mean(0) > 0.5) == labels for each in (a, b)]
    assert wide.p_errors == statistics.mcnemar(*right)
    assert wide.scores('test', 'auroc').mean() > narrow.scores('test', 'auroc').mean()


@pytest.mark.parametrize(
    ('classes', 'head'),
    [(('0', '1'), 'Normal recall'), (('well', 'ill'), 'well recall')],
    ids=['without names', 'with names'],
)
def test_a_table_names_the_first_class(
    study: Study,
    kept: list[Kept],
    monkeypatch: pytest.MonkeyPatch,
    classes: tuple[str, str],
    head: str,
) -> None:
    monkeypatch.setattr(store, 'data_of', lambda fields: store.Data(classes, {}, ''))
    found = summary.summaries(study, kept)
    assert f'| {head} |' in table.table(study, found, ['last'])
    assert f'| {head} |' in table.seeds(found)


def test_p_are_corrected_for_the_rows(study: Study, kept: list[Kept]) -> None:
    alone = summary.summaries(study, kept)[1]
    more = [dataclasses.replace(run, line=run.line | {'row': 'third'}) for run in kept[:2]]
    wider = dataclasses.replace(study, rows={**study.rows, 'third': Row('')})
    _, wide, third = summary.summaries(wider, kept + more)
    assert alone.p_auroc is not None
    assert wide.p_auroc == min(1, 2 * alone.p_auroc)
    assert third.p_auroc == third.p_errors == 1, 'its runs are those of the baseline'


def test_equal_rows_of_other_numbers_of_seeds_are_not_told_apart() -> None:
    labels = np.arange(40) % 2
    perfect = [np.tile(labels * 0.5, (count, 1)) for count in (5, 6, 7)]
    for other in perfect[1:]:
        gap, *_, p = statistics.paired_bootstrap(other, perfect[0], labels, 'auroc')
        assert (gap, p) == (0, 1)


def test_other_images_are_not_compared(study: Study, kept: list[Kept]) -> None:
    def turned(run: Kept) -> Kept:
        probabilities, labels = run.splits['test']
        return dataclasses.replace(run, splits={'test': (probabilities[::-1], labels[::-1])})

    rest = [turned(run) for run in kept[2:]]
    assert summary.summaries(study, kept[:2] + rest)[1].p_auroc is None
    with pytest.raises(UserError, match="row 'wide net': its seeds were scored on different"):
        summary.summaries(study, [*kept[:3], rest[1]])


def test_the_table_says_what_was_measured(study: Study, kept: list[Kept]) -> None:
    more = dataclasses.replace(study, rows={**study.rows, 'third': Row('')})
    found = summary.summaries(more, kept)
    text = table.table(more, found, ['last'] * 4)
    method, _, heads, _, narrow, wide, third = text.splitlines()
    assert "48 test images, scored after training, with the last epoch's weights. Mean" in method
    assert 'against `narrow`, Holm-corrected (rows: 1)' in method
    assert 'Commit abcdef0; 1 x cpu (cpu); jax 0.10.2.' in method
    cells = dict(zip(heads.split(' | '), wide.split(' | '), strict=True))

    def spread(name: str, digits: int) -> str:
        scores = [float(run.line[name]) for run in kept[2:]]
        return f'{plain.fmean(scores):.{digits}f} +- {plain.stdev(scores):.{digits}f}'

    low, high = found[1].intervals['auroc']
    assert cells['test AUROC [95 % CI]'] == f'{spread("test_auroc", 4)} [{low:.3f}, {high:.3f}]'
    assert cells['val AUROC'] == spread('val_auroc', 4)
    assert cells[summary.recall(found)] == spread('test_specificity', 3)
    assert cells['| row'] == '| `wide net` (64 units)'
    assert narrow.endswith('| - | - |')
    assert third.startswith('| `third` | 0 of 2 | not run | - |')
    assert table.table(more, summary.summaries(more, kept), ['last']) == text
    both = table.table(more, found, ['last', 'best'])
    assert "with the last epoch's weights or the weights that were best on val. Mean" in both


def test_small_p_are_bounds() -> None:
    assert [table._p(p) for p in (None, 0.0004, 0.0456, 1.0)] == ['-', '< 0.001', '0.046', '1.000']
