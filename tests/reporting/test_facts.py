"""What is gathered of a run."""

import pathlib
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

from pneumo_jax import data
from pneumo_jax.reporting import facts, results, words


def of(path: str, name: str, *, synthetic: bool) -> Any:
    record = {'config': {'data': {'path': path, 'name': name}}}
    return SimpleNamespace(
        loaded=SimpleNamespace(records=[record]),
        dataset=SimpleNamespace(synthetic=synthetic),
        fitted=SimpleNamespace(alpha=0.05),
    )


@pytest.mark.parametrize(
    ('path', 'name', 'synthetic', 'told'),
    [
        ('', 'pneumoniamnist', False, 'pneumoniamnist'),
        ('', 'breastmnist', False, 'breastmnist'),
        ('own.npz', 'pneumoniamnist', False, ''),
        ('', 'synthetic', True, ''),
    ],
)
def test_only_the_official_files_have_a_name(
    path: str, name: str, synthetic: bool, told: str
) -> None:
    assert facts.Facts.official.fget(of(path, name, synthetic=synthetic)) == told  # type: ignore
    assert facts.Facts.promised.fget(of(path, name, synthetic=synthetic)) == '95%'  # type: ignore


def test_patients_are_those_of_the_data(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    found = facts.gather_facts([folder / 'one'], tmp_path)
    drawn = data.load(**found.loaded.records[0]['config']['data'])
    for split in ('train', 'val', 'test'):
        np.testing.assert_array_equal(found.patients[split], getattr(drawn, split).groups)
    patients = len(np.unique(drawn.test.groups))
    assert f'n = {len(drawn.test)} images of {patients} patients' in words.verdict(found)
    assert found.times_scored == (1,)


def test_a_table_tells_patients_and_kinds(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / 'table.csv'
    rows = ['split,index,patient,kind']
    drawn = facts.gather_facts([folder / 'one'], tmp_path).dataset
    for split in ('train', 'val', 'test'):
        rows += [f'{split},{i},p{i // 3},{"ab"[i % 2]}' for i in range(len(getattr(drawn, split)))]
    table.write_text('\n'.join(rows))
    monkeypatch.setattr(facts.gather, 'table_of', lambda config, split: table)
    found = facts.gather_facts([folder / 'one'], tmp_path)
    assert found.patients['val'] is not None
    assert found.patients['val'][:4].tolist() == ['p0', 'p0', 'p0', 'p1']
    assert found.seen['test'].kinds is not None
    assert set(found.found['test']['subgroups']) == {'a', 'b'}
    shown = subgroups(found)
    probabilities, labels = found.probabilities('test')[:, 1], found.seen['test'].labels
    for i, kind in enumerate('ab'):
        own = slice(i, None, 2)
        area = sklearn.roc_auc_score(labels[own], probabilities[own])
        ill = labels[own] == 1
        sensitivity = (probabilities[own][ill] > 0.5).mean()
        cells = rf'{kind}</t.><td>{len(ill)}</td><td>{area:.3f} \[[^<]*</td>'
        assert re.search(rf'{cells}<td>sensitivity</td><td>{sensitivity:.3f} \[', shown)


def test_without_kinds_it_is_said_how_to_name_them(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shown = subgroups(facts.gather_facts([folder / 'one'], tmp_path))
    assert 'None are known' in shown and '<table' not in shown


def subgroups(found: facts.Facts) -> str:
    """That section of the report."""
    return dict(results.sections(found, {}))['Sub-groups']
