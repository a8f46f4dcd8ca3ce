"""Child processes: their number, their cores, and their end."""

import json
import os
import pathlib
import signal
import sys

import pytest

from pneumo_jax import errors, host
from pneumo_jax.sweep import children
from pneumo_jax.sweep.study import Run
from pneumo_jax.training import workdir


def runs(count: int) -> list[Run]:
    return [Run('row', seed, f'row-{seed}', '', 'last', '{}', ()) for seed in range(count)]


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of training: leave the cores that the process may use as its results."""
    code = (
        'import json, os, pathlib, sys; folder = pathlib.Path(sys.argv[1]); folder.mkdir(); '
        '(folder / "results.json").write_text(json.dumps(sorted(os.sched_getaffinity(0))))'
    )
    monkeypatch.setattr(
        children, 'command', lambda run, place: [sys.executable, '-c', code, place / run.name]
    )


@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='no affinity here')
@pytest.mark.parametrize('jobs', [1, 2, 3])
def test_every_run_is_done_on_its_share_of_the_cores(
    tmp_path: pathlib.Path, child: None, jobs: int
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    with children.Pool(tmp_path, jobs) as pool:
        ended = list(pool.run(runs(4)))
    assert sorted(one.run.seed for one in ended) == [0, 1, 2, 3]
    assert not any(one.failure for one in ended)
    shares = [json.loads((tmp_path / f'row-{n}/results.json').read_text()) for n in range(4)]
    assert {len(share) for share in shares} == {max(1, len(cores) // jobs)}
    assert {core for share in shares for core in share} <= set(cores)
    assert sorted(os.sched_getaffinity(0)) == cores


@pytest.mark.parametrize('memory', [2, 7, 1000])
def test_jobs_are_bounded_by_memory(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(host, 'available_bytes', lambda: memory * 2**30)
    monkeypatch.setattr(host, 'cores', lambda: list(range(16)))
    monkeypatch.setattr('shutil.which', lambda name: None)
    assert children.jobs(None) == {2: 1, 7: 2, 1000: 16}[memory]
    assert children.jobs(5) == {2: 1, 7: 2, 1000: 5}[memory]


def test_a_gpu_has_one_job_unless_jax_is_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, 'available_bytes', lambda: 0)
    monkeypatch.setattr(host, 'cores', lambda: list(range(16)))
    monkeypatch.setattr('shutil.which', lambda name: '/usr/bin/nvidia-smi')
    monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
    assert children.jobs(None) == 16
    monkeypatch.delenv('JAX_PLATFORMS')
    assert children.jobs(None) == 1


def test_a_signal_reaches_the_children_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        'import os, pathlib, signal, sys, time; folder = pathlib.Path(sys.argv[1]); '
        'signal.signal(15, lambda *_: (folder.mkdir(), sys.exit(143))); '
        'os.kill(os.getppid(), 15); time.sleep(60)'
    )
    monkeypatch.setattr(
        children, 'command', lambda run, place: [sys.executable, '-c', code, place / run.name]
    )
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(errors.Stopped) as stopped, children.Pool(tmp_path, 1) as pool:
        list(pool.run(runs(2)))
    assert stopped.value.code == 143
    assert (tmp_path / 'row-0').exists(), 'the child was told, and awaited'
    assert not (tmp_path / 'row-1').exists()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_run_in_use_is_waited_for(
    tmp_path: pathlib.Path, child: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = tmp_path / 'row-0'
    used.mkdir()
    with workdir.locked(used), children.Pool(tmp_path, 2) as pool:
        each = pool.run(runs(2))
        assert next(each).run.seed == 1
        assert not (tmp_path / 'row-0.log').exists()
