"""The verb `benchmark`: its mistakes, its end to end, and going on after a kill."""

import json
import pathlib
from typing import Any

import pytest

from pneumo_jax import cli, doors, runtime
from pneumo_jax.benchmark import cases, images, plan, rounds
from pneumo_jax.benchmark.starter import Starter
from pneumo_jax.training import workdir

MACHINE = {
    'platform': 'cpu',
    'devices': 1,
    'device': 'cpu',
    'processor': 'a processor',
    'cores': 2,
    'flops_per_second': {'float32': 2e11, 'bfloat16': 1e11},
    'copied_bytes_per_second': 1e10,
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Any:
    """Go through the door in this process, with a machine that need not be measured."""
    monkeypatch.setattr(doors, 'keep_memory', lambda: None)  # it would start pytest again
    origin = runtime.provenance()
    monkeypatch.setattr(Starter, 'machine', lambda self, rates: MACHINE | {'origin': origin})

    def enter(*arguments: str) -> int:
        return doors.enter(cli.main, ['benchmark', '--out', str(tmp_path / 'out'), *arguments])

    return enter


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--models', 'resnet81'], "did you mean 'configs/resnet18.py'"),
        (['--model', 'cnn'], "did you mean '--models'"),
        (['--sizes', '28,x'], "'x' is not a whole number above 0"),
        (['--batches', '0'], "'0' is not a whole number above 0"),
        (['--seconds', 'nan'], "'nan' is not a number above 0"),
        (['--measure', 'step,epochs'], "did you mean 'epoch'"),
        (['--peers', 'tensorflow'], 'Allowed: torch'),
        (['--peers', 'torch', '--peers-python', '/no/python'], '--peers-python=/no/python'),
        (['--dtypes', 'float16'], "did you mean 'bfloat16'"),
        (['--data', 'nothing.npz'], 'nothing.npz: there is no such file'),
        (['--out', '/dev/null/out'], '/dev/null/out'),
        (['--devices', '100000'], 'a CPU is taken for 64 at most'),
        (['--peers', 'torch', '--peers-python', '/bin/true'], '/bin/true has no torch'),
    ],
)
def test_a_mistake_is_one_line(
    run: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    assert told in err


def test_a_python_without_torch_says_how_to_get_it(
    run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(cases, 'PEERS_SCRIPT', tmp_path / 'speed' / 'peers.py')
    assert run('--peers', 'torch') == 2
    assert 'checkout' in capsys.readouterr().err
    (tmp_path / 'speed').mkdir()
    cases.PEERS_SCRIPT.touch()
    assert run('--peers', 'torch') == 2
    err = capsys.readouterr().err
    assert 'speed/requirements.txt' in err
    assert '--peers-python' in err


def test_a_step_of_more_images_than_there_are(
    run: Any, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    case = cases.Case('ours', '', {}, 28, 8)
    path = images.write(tmp_path / 'few.npz', images.drawn(case, 60))
    assert run('--data', str(path), '--batches', '16', '--devices', '1,4') == 2
    assert '64 images' in capsys.readouterr().err


def test_more_gpus_than_there_are(
    run: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = MACHINE | {'platform': 'gpu', 'devices': 2, 'device': 'A 1', 'origin': {}}
    monkeypatch.setattr(Starter, 'machine', lambda self, rates: machine)
    assert run('--devices', '1,4') == 2
    assert 'ask for 4 devices together; here are 2 (A 1)' in capsys.readouterr().err


def test_two_benchmarks_in_one_folder(
    run: Any, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    (tmp_path / 'out').mkdir()
    with workdir.locked(tmp_path / 'out'):
        assert run() == 2
    assert 'give another --out' in capsys.readouterr().err


def test_the_largest_batch_is_searched_once_for_all_batches_and_devices() -> None:
    groups = cases.groups(
        ['mlp'], [28], [8, 16], ['float32', 'bfloat16'], devices=[2, 4], peers=['torch']
    )
    found = plan.searches(groups)
    variants = ('ours', *cases.PEERS['torch'])
    expected = {(dtype, name) for dtype in ('float32', 'bfloat16') for name in variants}
    assert {(case.model['dtype'], case.name) for case in found} == expected
    assert len(found) == len(expected)


def measured_row(case: cases.Case, wrong: dict[str, str]) -> rounds.Row:
    """As `rounds.measure` has it, where nothing or something went wrong."""
    return {
        'group': case.group,
        'name': case.name,
        'case': vars(case),
        'worker': {},
        'images_per_second': {} if wrong else {'step': rounds.summary([3.0])},
        'peak_bytes': 1,
        'errors': wrong,
    }


def test_a_killed_benchmark_keeps_its_rows_and_goes_on(
    run: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    measured: list[str] = []

    def measure(group: cases.Group, start: Any, **options: Any) -> list[rounds.Row]:
        if len(measured) == 1 and group[0].page == 'cnn':
            measured.append('killed')
            raise KeyboardInterrupt
        measured.append(group[0].page)
        return [measured_row(case, {}) for case in group]

    monkeypatch.setattr(rounds, 'measure', measure)
    out = tmp_path / 'out'
    arguments = ['--models', 'mlp,cnn', '--measure', 'step']
    assert run(*arguments) == 130
    assert [
        row['group'][:3] for row in json.loads((out / 'benchmark.json').read_text())['rows']
    ] == ['mlp']
    assert run(*arguments) == 0
    assert measured == ['mlp', 'killed', 'cnn']
    assert run(*arguments) == 0
    assert measured == ['mlp', 'killed', 'cnn']
    assert 'another --out measures them again' in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        '.lock',
        'benchmark.json',
        'benchmark.md',
        'benchmark.png',
    ]
    (out / 'benchmark.json').rename(tmp_path / 'kept')
    (out / 'benchmark.json').write_text('{}')
    assert run(*arguments) == 2
    assert 'benchmark.json cannot be read (it needs largest_batches' in capsys.readouterr().err
    (tmp_path / 'kept').rename(out / 'benchmark.json')
    assert run(*arguments, '--repeats', '1') == 2
    assert 'repeats: 5 there, 1 here' in capsys.readouterr().err


def test_what_failed_is_told_and_tried_again(
    run: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
) -> None:
    def measure(group: cases.Group, start: Any, **options: Any) -> list[rounds.Row]:
        return [measured_row(case, wrong) for case in group]

    monkeypatch.setattr(rounds, 'measure', measure)
    own = tmp_path / 'out' / 'scratch'
    own.mkdir(parents=True)
    wrong = {'step': 'the worker ended by SIGKILL: it said nothing'}
    assert run('--measure', 'step') == 2
    assert '1 of the cases could not be measured' in capsys.readouterr().err
    wrong = {}
    assert run('--measure', 'step') == 0
    assert own.is_dir(), 'a folder of the user is left alone'


def test_the_verb_from_end_to_end(door: Any, tmp_path: pathlib.Path) -> None:
    out = tmp_path / 'out'
    arguments = ['--models', 'mlp', '--batches', '64', '--measure', 'step', '--repeats', '2']
    told = door('pneumo_jax', 'benchmark', *arguments, '--seconds', '0.01', '--out', out)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith((out / 'benchmark.md').read_text())
    assert 'compiling ours' in told.stderr
    found = json.loads((out / 'benchmark.json').read_text())
    (row,) = found['rows']
    assert len(row['images_per_second']['step']['all']) == 2
    assert row['errors'] == {}
    assert row['flops_per_second'] > 0
    assert row['case']['model']['hidden'] == 128
    origin = found['origin']
    assert 'pneumo_jax benchmark --models mlp' in origin['command']
    assert 'glibc.malloc.hugetlb=1' in origin['environment']['GLIBC_TUNABLES']
    assert found['machine']['flops_per_second']['float32'] > 1e8
