"""The door to training, as a user opens it: processes, signals, mistakes."""

import json
import pathlib
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pneumo_jax import doors, main, runtime
from pneumo_jax.training import workdir

ROOT = pathlib.Path(__file__).parent.parent
MAIN = 'pneumo_jax.main'
CNN = ('--config', 'configs/cnn.py:smoke')


def test_a_finished_run_prints_its_report_and_another_config_is_refused(
    tmp_path: pathlib.Path, door: Any
) -> None:
    folder = tmp_path / 'run'
    first = door(MAIN, *CNN, '--workdir', folder)
    assert first.returncode == 0, first.stderr
    report = (folder / 'report.txt').read_text()
    assert 'precision    recall  f1-score   support' in report
    assert report in first.stdout
    second = door(MAIN, *CNN, '--workdir', folder)
    assert second.returncode == 0
    assert f'{folder} is finished' in second.stdout
    assert report in second.stdout
    third = door(MAIN, *CNN, '--config.seed=5', '--workdir', folder)
    assert third.returncode == 2
    assert 'seed: 0 there, 5 here' in third.stderr


def job(
    folder: pathlib.Path, environment: dict[str, str]
) -> tuple[list[subprocess.Popen[str]], list[tuple[str, str]]]:
    """Two processes that train one model in a folder, ended, and what they said."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{probe.getsockname()[1]}'
    shared = {**environment, 'JAX_COORDINATOR_ADDRESS': address, 'JAX_NUM_PROCESSES': '2'}
    processes = [
        subprocess.Popen(
            [sys.executable, '-m', MAIN, *CNN, '--workdir', str(folder)],
            cwd=ROOT,
            env={**shared, 'JAX_PROCESS_ID': str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    return processes, [process.communicate(timeout=240) for process in processes]


def test_what_one_process_meets_is_told_by_all(
    tmp_path: pathlib.Path, environment: dict[str, str]
) -> None:
    with workdir.locked(tmp_path):
        processes, told = job(tmp_path, environment)
    assert [process.returncode for process in processes] == [2, 2], told
    for _, error in told:
        assert 'is in use by another process' in error and 'Traceback' not in error


def test_two_processes_give_what_one_gives(
    tmp_path: pathlib.Path, door: Any, environment: dict[str, str]
) -> None:
    alone = door(MAIN, *CNN, '--workdir', tmp_path / 'alone')
    assert alone.returncode == 0, alone.stderr
    processes, told = job(tmp_path / 'job', environment)
    assert [process.returncode for process in processes] == [0, 0], told
    assert 'Epoch 2/2' in told[0][0]
    assert 'Epoch' not in told[1][0], 'one process speaks for all'
    logits = []
    for name in ('alone', 'job'):
        with np.load(tmp_path / name / 'predictions_test.npz') as predictions:
            logits.append(predictions['logits'])
    np.testing.assert_allclose(*logits, atol=1e-5)


def test_programs_are_kept_for_the_next_start(tmp_path: pathlib.Path, door: Any) -> None:
    """Loaded they give the bits that they give when compiled, and damaged ones are made anew."""
    telling = {
        'JAX_COMPILATION_CACHE_DIR': '',
        'XDG_CACHE_HOME': str(tmp_path / 'home'),
        'JAX_LOGGING_LEVEL': 'DEBUG',
    }

    def start(name: str) -> tuple[str, int]:
        """The digest of the last weights, and how many programs were not loaded."""
        told = door(MAIN, *CNN, '--workdir', tmp_path / name, **telling)
        assert told.returncode == 0, told.stderr
        assert 'Warning' not in told.stderr
        meta = tmp_path / name / 'checkpoints' / '6' / 'meta' / 'metadata'
        return json.loads(meta.read_text())['sha256'], told.stderr.count('CACHE MISS')

    compiled, misses = start('first')
    assert misses >= 3, 'init, step and predict'
    assert start('second') == (compiled, 0)
    (folder,) = (tmp_path / 'home' / 'pneumo_jax' / 'xla').iterdir()
    for name, mode in (('jit_one', 0o600), ('jit_predict', 0o400)):  # found at the start, and not
        (path,) = folder.glob(f'{name}-*')
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-9])
        path.chmod(mode)
    assert start('third') == (compiled, 2)


def test_training_that_diverges_stops_and_keeps_the_last_good_checkpoint(
    tmp_path: pathlib.Path, door: Any
) -> None:
    wanted = ('--config.optim.name=sgd', '--config.optim.lr=1000', '--config.epochs=20')
    told = door(MAIN, *CNN, *wanted, '--workdir', tmp_path)
    assert told.returncode == 2, told.stdout
    assert 'is not finite; what was saved before it is kept. Try a lower' in told.stderr
    assert 'training step' in told.stderr
    assert not (tmp_path / 'results.json').exists()


def test_without_file_and_network_the_quickstart_draws_its_data_and_says_so(
    tmp_path: pathlib.Path, door: Any
) -> None:
    nothing = {'PNEUMO_JAX_DATA': str(tmp_path), 'PNEUMO_JAX_MIRROR': 'http://127.0.0.1:9'}
    folder = tmp_path / 'run'
    arguments = ('--config', 'configs/quickstart.py', '--config.epochs=1', '--workdir', folder)
    told = door(MAIN, *arguments, **nothing)
    assert told.returncode == 0, told.stderr
    assert 'synthetic' in told.stderr.splitlines()[0]
    folder = tmp_path / 'run-synthetic'
    assert '[synthetic] Epoch 1/1' in told.stdout
    assert 'synthetic' in (folder / 'report.txt').read_text().splitlines()[0]
    assert json.loads((folder / 'results.json').read_text())['data']['synthetic']
    assert not list(folder.glob('*.csv')), "no MedMNIST result file of what is not MedMNIST's"
    refused = door(MAIN, '--config', 'configs/cnn.py:28', '--workdir', tmp_path / 'b', **nothing)
    assert refused.returncode == 2
    assert 'pneumoniamnist.npz' in refused.stderr


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), '--config'),
        (('--config', 'configs/cnn.py:29'), "'29' is not one of"),
        (('--config', 'configs/cmn.py'), "did you mean 'configs/cnn.py'"),
        ((*CNN, '--config.sed=1'), "did you mean 'seed'"),
        ((*CNN, '--config.model.name=vti'), "did you mean 'vit'"),
        ((*CNN, '--config.data.name=pneumoniamist'), "did you mean 'pneumoniamnist'"),
        (('--config', 'configs/cnn.py:28', '--config.data.size=32'), '28, 64, 128, 224'),
        ((*CNN, '--config.seed=one'), 'int is needed'),
        ((*CNN, '--config.seed'), 'needs a value'),
        ((*CNN, '--wrkdir=x'), "did you mean '--workdir'"),
        ((*CNN, '--workdir', '/dev/null/run'), 'cannot write to /dev/null/run'),
        ((*CNN, '--config.batch_size=1000'), 'batch_size=48 or less'),
        ((*CNN, '--config.data.path=nowhere.npz'), 'nowhere.npz'),
        ((*CNN, '--config.data.path=~nobody-here/x.npz'), 'Give the path without ~'),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doors, 'keep_memory', lambda: None)  # it would start pytest again
    monkeypatch.setattr(runtime, 'start', lambda: None)
    monkeypatch.chdir(ROOT)
    given = arguments if '--workdir' in arguments else (*arguments, '--workdir', tmp_path / 'run')
    assert doors.enter(main.main, [*map(str, given)] if arguments else []) == 2
    told = capsys.readouterr().err
    assert told.startswith('error: ') and told.count('\n') == 1, told
    assert message in told


def test_a_batch_that_devices_cannot_share(tmp_path: pathlib.Path, door: Any) -> None:
    four = {'XLA_FLAGS': '--xla_force_host_platform_device_count=4'}
    told = door(MAIN, *CNN, '--config.batch_size=18', '--workdir', tmp_path, **four)
    assert told.returncode == 2
    assert 'config.batch_size=18 does not divide over 4 devices' in told.stderr
    assert '16 and 20' in told.stderr


def test_help_has_examples(door: Any) -> None:
    told = door(MAIN, '--help')
    assert told.returncode == 0
    assert '--config configs/quickstart.py' in told.stdout
