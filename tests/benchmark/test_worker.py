"""The worker as a process, and its parts."""

import pathlib
import sys
from typing import Any

import pytest

from pneumo_jax import errors
from pneumo_jax.benchmark import images, worker
from pneumo_jax.benchmark.cases import MEASURES, Case
from pneumo_jax.benchmark.pool import WorkerError
from pneumo_jax.benchmark.starter import Starter

MODEL = {'name': 'mlp', 'dtype': 'float32', 'hidden': 4}
CASE = Case('ours', 'mlp', MODEL, 28, 16, devices=2)


def test_a_worker_from_start_to_end(tmp_path: pathlib.Path) -> None:
    data = images.write(tmp_path / 'data.npz', images.drawn(CASE, 70))
    with Starter(tmp_path, sys.executable).start(CASE, data) as job:
        ready = job.ready()
        assert ready['parameters'] == 784 * 4 + 4 + 4 * 2 + 2
        assert ready['device'].startswith('2 x ')
        assert ready['compile_s'] > ready['first_step_s'] > 0
        assert ready['communication']['gradients_missing'] == 0
        # Twice each: training stands still between two requests for epochs.
        for measure in (*MEASURES, *MEASURES):
            answer = job.ask({'measure': measure, 'seconds': 0.01})
            assert answer['seconds'] >= 0.01
            assert answer['images'] % (70 if measure == 'epoch' else 32) == 0
        assert job.ask({'measure': 'epoch', 'steps': 3})['images'] == 210
        assert job.ask({'measure': 'step', 'steps': 3})['images'] == 96
        with pytest.raises(WorkerError, match='KeyError'):
            job.ask({'measure': 'nap', 'seconds': 1})
        assert job.peak_bytes() > 10**8
    assert job.processes[0].returncode == 0
    assert list((tmp_path / 'job-0' / 'run' / 'checkpoints').iterdir())


def test_a_case_that_cannot_be_is_told_in_a_line(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[Any] = []
    answer = worker.failure(errors.UserError('two\nlines'))
    assert answer == {'error': 'two lines'}
    try:
        raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore')
    except RuntimeError as error:
        told.append(worker.failure(error))
    assert told == [
        {
            'error': 'RuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes. more',
            'out_of_memory': True,
        }
    ]
    assert 'Traceback' in capfd.readouterr().err


@pytest.mark.parametrize(
    ('request_', 'count'), [({'steps': 3}, 3), ({'seconds': 0.0}, 1), ({'steps': 9}, 9)]
)
def test_repeating_starts_as_often_as_asked(request_: dict[str, Any], count: int) -> None:
    started: list[int] = []
    found, seconds = worker.repeat(lambda: started.append(1), request_)
    assert found == count
    assert len(started) == count + 1  # one to warm up
    assert seconds >= 0


def test_an_epoch_trains_the_plain_recipe() -> None:
    config = worker.config_of(CASE)
    assert config.batch_size == 32
    assert config.model.to_dict() == MODEL
    assert (config.optim.name, config.optim.schedule, config.optim.ema) == ('adam', 'constant', 0)
