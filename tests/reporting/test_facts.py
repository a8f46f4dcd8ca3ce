"""What is gathered of a run."""

import pathlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pneumo_jax import data
from pneumo_jax.reporting import facts, words


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
