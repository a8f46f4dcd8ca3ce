import dataclasses
import pathlib
from typing import Any

import pytest

from pneumo_jax import errors
from pneumo_jax.benchmark import results
from pneumo_jax.benchmark.cases import Case

ONE = Case('ours', 'mlp', {'name': 'mlp', 'dtype': 'float32'}, 28, 10)
TWO = Case('ours', 'mlp', {'name': 'mlp', 'dtype': 'float32'}, 28, 10, devices=2)


def row(case: Case, **more: Any) -> dict[str, Any]:
    return {'case': vars(case), **more}


def test_rows_are_found_again_by_their_case() -> None:
    rows = [row(ONE, mark=1)]
    assert results.has(rows, ONE)
    assert not results.has([row(ONE, errors={'step': 'why'})], ONE)
    assert not results.has(rows, TWO)
    results.put(rows, [row(ONE, mark=2), row(TWO, mark=3)])
    assert [found['mark'] for found in rows] == [2, 3]


def whole(*rows: int) -> dict[str, Any]:
    return {key: list(rows) for key in results.KEYS}


def test_a_kill_while_writing_leaves_the_file_before(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results.read(tmp_path) is None
    results.save(tmp_path, whole(1))

    def killed(self: pathlib.Path, target: pathlib.Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, 'replace', killed)
    with pytest.raises(KeyboardInterrupt):
        results.save(tmp_path, whole(1, 2))
    assert results.read(tmp_path) == whole(1)
    assert [path.name for path in tmp_path.iterdir()] == [results.FILE]


@pytest.mark.parametrize('text', ['{"rows": [', '[]', '{"rows": []}'])
def test_a_damaged_file_is_told(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / results.FILE).write_text(text)
    with pytest.raises(errors.UserError, match='another --out'):
        results.read(tmp_path)


def test_other_settings_are_refused_and_another_command_is_not(tmp_path: pathlib.Path) -> None:
    there = {'command': 'a', 'repeats': 5}
    results.check_same(tmp_path, there, {'command': 'b', 'repeats': 5})
    with pytest.raises(errors.UserError, match='repeats: 5 there, 3 here'):
        results.check_same(tmp_path, there, {'command': 'a', 'repeats': 3})


@pytest.mark.parametrize(('platform', 'share'), [('cpu', 0.5), ('gpu', 0.25)])
def test_what_follows_from_rates(platform: str, share: float) -> None:
    rates = {'step': {'median': 200.0}, 'epoch': {'median': 50.0}}
    found = row(TWO, worker={'flops_per_step': 1000.0}, images_per_second=rates)
    machine = {'platform': platform, 'flops_per_second': {'float32': 20_000.0}}
    derived = results.derive(found, machine)  # 20 images, 1000 operations a step: 10 steps/s
    assert derived['flops_per_second'] == 10_000
    assert derived['of_product_rate'] == share
    assert derived['epoch_over_step'] == 0.25


def test_a_step_takes_the_batch_of_every_device_process_and_seed() -> None:
    case = dataclasses.replace(TWO, processes=2, seeds=3)
    rates = {'step': {'median': 240.0}}
    found = row(case, worker={'flops_per_step': 1000.0}, images_per_second=rates)
    machine = {'platform': 'gpu', 'flops_per_second': {'float32': 1000.0}}
    derived = results.derive(found, machine)  # 120 images a step: 2 steps/s on 4 devices
    assert (derived['flops_per_second'], derived['of_product_rate']) == (2000, 0.5)


def test_what_is_unknown_stays_unknown() -> None:
    found = row(ONE, worker={'flops_per_step': None}, images_per_second={'step': {'median': 1.0}})
    derived = results.derive(found, {'platform': 'cpu'})
    assert derived['flops_per_second'] is None
    assert derived['of_product_rate'] is None
    assert derived['epoch_over_step'] is None
