"""A sweep from the door: what it runs, keeps and writes, and the mistakes that it tells."""

import csv
import json
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from pneumo_jax import cli, doors
from pneumo_jax.sweep import children, store
from pneumo_jax.sweep.study import Run
from pneumo_jax.training import workdir

Finish = Callable[..., list[Run]]


def sweep(folder: pathlib.Path, *arguments: str) -> int:
    return doors.enter(cli.main, ['sweep', str(folder), *arguments])


def lines(folder: pathlib.Path) -> list[dict[str, str]]:
    with (folder / 'results' / 'runs.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / 'results').iterdir()}


def python(code: str) -> Callable[..., list[str]]:
    """Instead of training: a process that runs `code`, with its row's name as an argument."""
    return lambda run, place: [sys.executable, '-c', code, run.name]


def test_finished_folders_are_kept_and_shown(folder: pathlib.Path, finish: Finish) -> None:
    finish()
    assert sweep(folder) == 0
    assert [(line['row'], line['seed']) for line in lines(folder)] == [
        *(('narrow', '0'), ('narrow', '1')),
        *(('wide net', '0'), ('wide net', '1')),
    ]
    table = (folder / 'results' / 'table.md').read_text()
    for readme in (folder / 'README.md', folder.parent.parent / 'README.md'):
        marked = f'Before.\n\n<!-- tiny -->\n{table}<!-- tiny -->\n\nAfter.\n'
        assert readme.read_text() == marked
    assert (folder / 'results' / 'figure.png').read_bytes().startswith(b'\x89PNG')
    seeds = (folder / 'results' / 'seeds.md').read_text()
    assert f'| narrow | 1 | {float(lines(folder)[1]["test_auroc"]):.4f} |' in seeds


def test_again_runs_nothing_and_writes_the_same(
    folder: pathlib.Path, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish()
    assert sweep(folder) == 0
    before = contents(folder)
    (folder.parent.parent / 'runs').rename(folder / 'gone')
    monkeypatch.setattr(children, 'command', python('raise SystemExit("must not run")'))
    assert sweep(folder) == 0
    assert contents(folder) == before


def test_what_is_trained_again_takes_the_place_of_what_is_stored(
    folder: pathlib.Path,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finish()
    assert sweep(folder, '--retrain') == 0
    assert 'differ' not in capsys.readouterr().out, 'nothing was stored'
    before = contents(folder)
    runs = folder.parent.parent / 'runs' / folder.name
    shutil.rmtree(runs / 'narrow-0')
    (runs / 'narrow-1').rename(runs / 'narrow-0')  # other predictions of the same images
    assert sweep(folder, '--only', 'narrow', '--seeds', '1') == 0
    assert contents(folder) == before, 'without the flag what is stored stays'

    again = ('--only', 'narrow', '--seeds', '1', '--retrain')
    config = json.loads((runs / 'narrow-0' / 'run.json').read_text())
    config['config']['seed'] = 0
    (runs / 'narrow-0' / 'run.json').write_text(json.dumps(config))
    with monkeypatch.context() as patch:
        patch.setattr(store, 'put', lambda *given: None)  # as if killed before it
        stored = lines(folder)
        sweep(folder, *again)
    assert lines(folder) == stored
    assert sweep(folder, *again) == 0
    first, second, *_ = lines(folder)
    assert first['test_auroc'] == second['test_auroc']
    with np.load(folder / 'results' / 'probabilities.npz') as kept:
        np.testing.assert_array_equal(kept['narrow-0/test'], kept['narrow-1/test'])
    capsys.readouterr()
    assert sweep(folder, *again) == 0
    assert 'narrow-0: probabilities differ by at most 0.0e+00' in capsys.readouterr().out


def test_how_far_a_run_is_from_what_was_stored_is_said(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish()
    assert sweep(folder) == 0
    path = folder.parent.parent / 'runs' / folder.name / 'wide-net-1' / 'predictions_test.npz'
    arrays = dict(np.load(path))
    arrays['probabilities'][3] += (-0.125, 0.125)
    np.savez(path, **arrays)
    capsys.readouterr()
    assert sweep(folder, '--retrain', '--only', 'wide net') == 0
    out = capsys.readouterr().out
    assert 'wide-net-0: probabilities differ by at most 0.0e+00' in out
    assert 'wide-net-1: probabilities differ by at most 1.2e-01' in out


def test_what_another_study_has_run_is_taken_over(
    folder: pathlib.Path,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finish('narrow-0')
    assert sweep(folder, '--only', 'narrow', '--seeds', '1') == 0
    second = folder.parent / 'second'
    second.mkdir()
    elsewhere = folder.parent / 'other' / 'results'  # a study whose data are not on this machine
    elsewhere.mkdir(parents=True)
    line = {**lines(folder)[0], 'config': 'another', 'data': '{"path": "gone.npz"}'}
    with (elsewhere / 'runs.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, line)
        writer.writeheader()
        writer.writerow(line)
    (elsewhere / 'probabilities.npz').write_bytes(
        (folder / 'results' / 'probabilities.npz').read_bytes()
    )
    (second / 'README.md').write_text('')
    text = (folder / 'study.py').read_text()
    (second / 'study.py').write_text(text.replace("'narrow'", "'few units'"))
    monkeypatch.setattr(children, 'command', python('raise SystemExit("must not run")'))
    assert sweep(second, '--only', 'few units', '--seeds', '1') == 0
    assert 'few-units-0: as narrow-0 of experiments/tiny' in capsys.readouterr().out
    own, taken = lines(folder)[0], lines(second)[0]
    assert taken == own | {'row': 'few units'}
    assert sweep(second, '--only', 'few units', '--seeds', '2') == 2, 'the second seed is not there'


def write_data(path: pathlib.Path, seed: int, classes: int = 2) -> None:
    rng = np.random.default_rng(seed)
    arrays = {}
    for split in ('train', 'val', 'test'):
        arrays[f'{split}_images'] = rng.integers(0, 256, (60, 28, 28), np.uint8)
        arrays[f'{split}_labels'] = np.arange(60) % classes
    np.savez(path, **arrays)
    store._loaded.cache_clear()  # a process of its own reads anew


def of_file(folder: pathlib.Path) -> pathlib.Path:
    """Let the study train on a file of its own, and return that."""
    path, study = folder.parent.parent / 'own.npz', folder / 'study.py'
    short = f"{{'epochs': 1, 'data.path': {str(path)!r}}}"
    study.write_text(study.read_text().replace("{'epochs': 1}", short))
    return path


def one_run_of_file(folder: pathlib.Path, finish: Finish) -> pathlib.Path:
    """Let the study keep its first run on a file of its own, and return that file."""
    path = of_file(folder)
    write_data(path, seed=0)
    finish('narrow-0')
    assert sweep(folder, '--only', 'narrow', '--seeds', '1') == 0
    return path


def test_runs_on_other_data_of_the_same_name_are_not_put_beside(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_run_of_file(folder, finish)
    before = (folder / 'results' / 'runs.csv').read_bytes()
    write_data(path, seed=1)
    capsys.readouterr()
    assert sweep(folder) == 2, 'nothing is trained'
    assert "row 'narrow' is of other images or labels" in capsys.readouterr().err
    finish('narrow-1', 'wide-net-0', 'wide-net-1')
    assert sweep(folder) == 2, 'nor taken from a run folder'
    assert 'wide-net-1: row' in capsys.readouterr().err
    assert (folder / 'results' / 'runs.csv').read_bytes() == before


def test_a_run_of_another_study_on_other_data_of_the_same_name_is_not_taken_over(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_run_of_file(folder, finish)
    second = folder.parent / 'second'
    second.mkdir()
    (second / 'study.py').write_text((folder / 'study.py').read_text())
    asked = (second, '--dry-run', '--only', 'narrow', '--seeds', '1')
    assert sweep(*asked) == 0
    assert 'nothing is missing' in capsys.readouterr().err
    write_data(path, seed=1)
    assert sweep(*asked) == 0
    assert '--workdir runs/second/narrow-0' in capsys.readouterr().out


def test_results_without_a_checksum_of_their_data_go_on(
    folder: pathlib.Path, finish: Finish
) -> None:
    path = one_run_of_file(folder, finish)
    table = folder / 'results' / 'runs.csv'
    text, count = re.subn(', ""sha256"": ""[0-9a-f]{64}""', '', table.read_text())
    assert count == 1
    table.write_text(text)
    write_data(path, seed=1)
    finish('narrow-1', 'wide-net-0', 'wide-net-1')
    assert sweep(folder) == 0
    assert len(lines(folder)) == 4


def test_more_than_two_classes_are_refused_before_anything_runs(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(of_file(folder), seed=0, classes=3)
    monkeypatch.setattr(children, 'command', python('raise SystemExit("must not run")'))
    assert sweep(folder) == 2
    assert 'two classes alone, and these are 3' in capsys.readouterr().err


def test_a_study_half_run_is_shown(folder: pathlib.Path, finish: Finish) -> None:
    finish('narrow-0')
    assert sweep(folder, '--only', 'narrow', '--seeds', '1') == 0
    table = (folder / 'results' / 'table.md').read_text()
    assert '| `narrow` | 1 of 2 |' in table
    assert '+- - [' in table
    assert '| `wide net` (64 units) | 0 of 2 | not run |' in table


def test_a_row_that_is_renamed_keeps_its_runs(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish()
    assert sweep(folder) == 0
    before = lines(folder)
    study = folder / 'study.py'
    study.write_text(study.read_text().replace("'narrow'", "'few units'"))
    capsys.readouterr()
    assert sweep(folder, '--dry-run') == 0
    assert 'nothing is missing' in capsys.readouterr().err
    assert sweep(folder) == 0
    told, aside = capsys.readouterr()
    assert 'few-units-0: as narrow-0, of before\n' in aside and 'dropped' not in told
    renamed = [{**line, 'row': line['row'].replace('narrow', 'few units')} for line in before]
    assert sorted(map(str, lines(folder))) == sorted(map(str, renamed)) != sorted(map(str, before))
    assert sweep(folder) == 0
    assert 'as narrow' not in capsys.readouterr().err


def test_what_the_study_no_longer_has_is_dropped(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish()
    assert sweep(folder) == 0
    study = folder / 'study.py'
    study.write_text(study.read_text().replace("'model.hidden': 64", "'model.hidden': 65"))
    assert sweep(folder, '--only', 'narrow') == 0
    assert 'dropped: 2 stored runs' in capsys.readouterr().out
    assert {line['row'] for line in lines(folder)} == {'narrow'}
    assert sweep(folder, '--only', 'wide net') == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert 'wide-net-0: runs/tiny/wide-net-0 holds a run of another config; remove' in told


def test_a_failed_run_is_told_at_the_end_and_the_others_go_on(
    folder: pathlib.Path,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finish('wide-net-0', 'wide-net-1')
    code = 'import sys; print("hm"); print("error: no room\\n", file=sys.stderr); sys.exit(7)'
    monkeypatch.setattr(children, 'command', python(code))
    assert sweep(folder, '--jobs', '2') == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith('error: 2 of the runs failed')
    assert 'narrow-0: error: no room (exit code 7; runs/tiny/narrow-0.log)' in told
    assert len(lines(folder)) == 2
    assert '| `narrow` | 0 of 2 | not run |' in (folder / 'results' / 'table.md').read_text()


def test_a_run_that_leaves_nothing_has_failed(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(children, 'command', python('pass'))
    assert sweep(folder, '--seeds', '1', '--only', 'narrow') == 2
    assert 'narrow-0: no results.json' in capsys.readouterr().err


def test_a_dry_run_prints_the_commands_and_leaves_nothing(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(folder, '--dry-run', '--only', 'wide net') == 0
    out = capsys.readouterr().out.splitlines()
    shared = '-m pneumo_jax.main --config configs/mlp.py:smoke --config.epochs=1'
    ends = [
        f'{shared} --config.model.hidden=64 --config.seed={n} --workdir runs/tiny/wide-net-{n}'
        for n in (0, 1)
    ]
    assert [line.removeprefix(f'{sys.executable} ') for line in out] == ends
    assert not (folder / 'results').exists()
    assert not (folder.parent.parent / 'runs').exists()


def test_a_second_sweep_is_refused(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = folder.parent.parent / 'runs' / 'tiny'
    place.mkdir(parents=True)
    with workdir.locked(place):
        assert sweep(folder) == 2
    assert 'another sweep of experiments/tiny is under way' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('old', 'new', 'told'),
    [
        ('configs/mlp.py', 'configs/mpl.py', "row 'narrow': unknown config page"),
        (':smoke', ':29', "form '29' is not one of"),
        ('model.hidden', 'model.hiden', "did you mean 'model.hidden'"),
        ("'model.hidden': 64", "'model.hidden': 'x'", "row 'wide net': config.model.hidden='x'"),
        ("'epochs': 1", "'epochs': 0", 'config.epochs=0 is out of range'),
        ("'epochs': 1", "'seed': 1", "'seed' is no override"),
        ("baseline='narrow'", "baseline='narow'", "did you mean 'narrow'"),
        ('(0, 1)', '3', 'seeds must be a tuple or list, and is 3'),
        ("'wide net'", '3', 'the name of a row must be a str, and is 3'),
        ('Row(page, short', 'Row(28, short', 'the page must be a str, and is 28'),
        ("short | {'model.hidden': 2}", '["epochs"]', 'the overrides must be a Mapping'),
        ("'(64 units)'", "'(64|units)'", "'(64|units)' may have 100 letters, no |"),
        ("'wide net'", "'w' * 300", 'may have 100 letters'),
        ("'wide net'", "'шире'", 'needs a letter from a to z or a digit'),
        ('(0, 1)', '(0, 0)', 'seeds=(0, 0) must be whole numbers, each once'),
        ('(0, 1)', '()', 'a row and a seed at least'),
        ("'wide net'", "'Narrow!'", "row 'narrow' has the folder 'narrow' of another"),
        ("'wide net'", "'a|b'", "row 'a|b': 'a|b' may have 100 letters, no |"),
        ('get_study', 'get_studies', "no attribute 'get_study'"),
        ('question=', 'qustion=', 'TypeError'),
        ('return', 'None;', 'must return a Study'),
        ('return', 'raise SystemExit(3);', 'SystemExit: 3'),
        ("baseline='narrow'", "baseline=['narrow']", 'baseline must be a str'),
    ],
)
def test_a_mistake_in_a_study_is_one_line(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    study = folder / 'study.py'
    study.write_text(study.read_text().replace(old, new))
    assert sweep(folder) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert told in err
    assert not (folder / 'results').exists()


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--only', 'narow'], "did you mean 'narrow'"),
        (['--seeds', '3'], 'the study has 2'),
        (['--jobs', '0'], "'0' is not a whole number above 0"),
        (['--seed', '1'], "did you mean '--seeds'"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert sweep(folder, *arguments) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert told in err


def test_a_readme_keeps_its_line_ends_and_has_to_be_text(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish()
    readme = folder / 'README.md'
    readme.write_bytes(b'# Tiny\r\n\r\n<!-- tiny -->\r\nold\r\n<!-- tiny -->\r\nEnd\r\n')
    assert sweep(folder) == 0
    text = readme.read_bytes()
    assert b'| `narrow` | 2 |' in text and b'old' not in text
    assert text.count(b'\r\n') == text.count(b'\n') > 8
    readme.write_bytes(b'\xff')
    assert sweep(folder) == 2
    assert 'README.md is not UTF-8' in capsys.readouterr().err


def test_a_folder_without_a_study(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / 'other').mkdir()
    (folder.parent / 'other' / 'study.py').write_bytes(b'\xff')
    assert sweep(folder.with_name('tinny')) == 2
    assert "did you mean 'experiments/tiny'" in capsys.readouterr().err


def test_a_folder_that_is_nowhere(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(folder / 'a' / 'b' / 'c') == 2
    assert 'no study at' in capsys.readouterr().err


def test_a_control_takes_what_it_shares_from_another_study(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rows of one config on either side, as where spread between equal runs is measured."""
    study = folder / 'study.py'
    study.write_text(study.read_text().replace("'model.hidden': 64", "'model.hidden': 2"))
    finish()
    assert sweep(folder) == 0
    other = folder.with_name('other')
    other.mkdir()
    (other / 'study.py').write_text(study.read_text())
    assert sweep(other, '--dry-run') == 0
    told = capsys.readouterr()
    assert told.out.count('of experiments/tiny') == 4
    assert told.err.endswith('nothing is missing\n')
    assert sweep(other) == 0
    assert len(lines(other)) == 4


def test_one_mark_alone_is_told(
    folder: pathlib.Path, finish: Finish, capsys: pytest.CaptureFixture[str]
) -> None:
    finish()
    (folder / 'README.md').write_text('<!-- tiny -->')
    assert sweep(folder) == 2
    assert 'has the mark <!-- tiny --> 1 times' in capsys.readouterr().err


def test_no_jax_in_the_parent(environment: dict[str, str]) -> None:
    code = 'import sys, pneumo_jax.cli, pneumo_jax.sweep.engine; sys.exit("jax" in sys.modules)'
    subprocess.run([sys.executable, '-c', code], env=environment, check=True)
