import multiprocessing
import os
import pathlib

import pytest
from ml_collections import ConfigDict

from pneumo_jax import config as configs
from pneumo_jax import errors
from pneumo_jax.training import workdir

DATA = {'title': 'some data', 'sha256': 'abc'}


def config(**changes: object) -> ConfigDict:
    made = configs.defaults('cnn')
    made.update(changes)
    return made


def test_a_run_goes_on_in_its_own_folder(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'a' / 'run'
    for _ in range(2):
        workdir.check(folder, config())
        workdir.claim(folder, config(), DATA, {'commit': 'x'})
    run = workdir.read(folder)
    assert run is not None
    assert run['config']['model']['features'] == [16, 32]


def test_another_config_is_refused_with_the_fields_that_differ(tmp_path: pathlib.Path) -> None:
    workdir.claim(tmp_path, config(), DATA, {})
    with pytest.raises(
        errors.UserError, match=r'\(epochs: 10 there, 3 here; seed: 0 there, 1 here\)'
    ):
        workdir.check(tmp_path, config(seed=1, epochs=3))


def test_other_data_are_refused(tmp_path: pathlib.Path) -> None:
    workdir.claim(tmp_path, config(), DATA, {})
    with pytest.raises(errors.UserError, match='other data'):
        workdir.claim(tmp_path, config(), {**DATA, 'sha256': 'abd'}, {})
    with pytest.raises(errors.UserError, match='other data'):
        workdir.claim(tmp_path, config(), {**DATA, 'originals': 'abd'}, {})


def test_checkpoints_of_nobody_are_not_gone_on_with(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'checkpoints' / '24').mkdir(parents=True)
    with pytest.raises(errors.UserError, match=r'no run\.json, which tells whose they are'):
        workdir.claim(tmp_path, config(), DATA, {})


@pytest.mark.parametrize(
    'content', ['{"config":', '{}', '[1]', '7', '{"config": 5}', '{"config": {}}']
)
def test_a_broken_record_is_told(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / workdir.RUN).write_text(content)
    with pytest.raises(errors.UserError, match=r'run\.json cannot be read'):
        workdir.check(tmp_path, config())


def test_a_folder_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(errors.UserError, match=r'cannot write to .* another --workdir'):
        workdir.check(tmp_path / 'file' / 'run', config())
    with pytest.raises(errors.UserError, match='cannot write to'):
        workdir.check(tmp_path / 'file', config())


def test_a_finished_run_may_be_read_where_nothing_can_be_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir.claim(tmp_path, config(), DATA, {})
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(errors.UserError, match='permission denied'):
        workdir.check(tmp_path, config())
    (tmp_path / workdir.RESULTS).touch()
    workdir.check(tmp_path, config())
    with pytest.raises(errors.UserError, match='another config'):
        workdir.check(tmp_path, config(seed=1))


@pytest.mark.parametrize('name', ['checkpoints', 'tensorboard', 'figures'])
def test_a_file_where_a_run_has_a_folder(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).write_text('')
    with pytest.raises(errors.UserError, match=f'{name} in it is a file'):
        workdir.check(tmp_path, config())


def test_names_that_nothing_can_be_written_to(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UserError, match='not UTF-8'):
        workdir.check(tmp_path / os.fsdecode(b'run-\xff'), config())
    (tmp_path / '.lock').mkdir()
    with (
        pytest.raises(errors.UserError, match=r'cannot write to .*\.lock'),
        workdir.locked(tmp_path),
    ):
        pass


def test_a_look_at_a_seed_is_counted_with_its_run(tmp_path: pathlib.Path) -> None:
    workdir.claim(tmp_path, config(), DATA, {})
    seeds = [tmp_path / f'seed-{seed}' for seed in (0, 10, 2)]
    for seed in seeds:
        seed.mkdir()
        (seed / workdir.WEIGHTS).touch()
    workdir.record_scoring(seeds[0], 'test')
    workdir.record_scoring(tmp_path, 'test')
    assert [workdir.times_scored(place, 'test') for place in (tmp_path, *seeds)] == [2] * 4
    assert workdir.members(tmp_path) == [seeds[0], seeds[2], seeds[1]]
    assert workdir.members(seeds[1]) == [seeds[1]]


def test_a_look_that_cannot_be_noted_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / workdir.SCORED).mkdir()
    with pytest.raises(errors.UserError, match=r'scored\.jsonl .*every look at test is noted'):
        workdir.record_scoring(tmp_path, 'test')


def test_notes_that_are_no_text_are_passed_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / workdir.SCORED).write_bytes(b'{"split": "test"}\n\xff\xfe\n{"split": "test"}\n')
    assert workdir.times_scored(tmp_path, 'test') == 2


def _lock(folder: pathlib.Path) -> str:
    try:
        with workdir.locked(folder):
            return 'locked'
    except errors.UserError as error:
        return str(error)


def test_a_second_process_is_kept_out(tmp_path: pathlib.Path) -> None:
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        with workdir.locked(tmp_path):
            assert 'in use by another process' in pool.apply(_lock, (tmp_path,))
        assert pool.apply(_lock, (tmp_path,)) == 'locked'


def test_a_note_that_a_kill_cut_short_is_passed_over(tmp_path: pathlib.Path) -> None:
    workdir.record_scoring(tmp_path, 'test')
    with (tmp_path / workdir.SCORED).open('a') as file:
        file.write('{}\nnull\n5\n{"split": "te')
    for count in (1, 2):
        assert workdir.times_scored(tmp_path, 'test') == count
        workdir.record_scoring(tmp_path, 'test')
    assert workdir.times_scored(tmp_path, 'test') == 3
