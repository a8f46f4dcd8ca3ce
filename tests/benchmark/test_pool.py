"""The pool against a worker that does what its argument says."""

import json
import os
import pathlib
import sys
from collections.abc import Callable

import pytest

from pneumo_jax.benchmark.pool import Job, WorkerError

FAKE = """
import json, os, sys, time
how, rank = sys.argv[1], os.environ.get('RANK', '0')
say = lambda answer: print(json.dumps(answer), flush=True)
if how == 'crash':
    sys.exit('lib.cc: last words\\n*** trace: ***\\n  @ 0x7f (unknown)\\n\\n')
if how == 'refuse':
    say({'error': 'no\\nsuch model', 'out_of_memory': True})
    sys.exit()
if how == 'hoard':
    try:
        hoarded = bytes(2**31)
    except MemoryError:
        say({'error': 'too much', 'out_of_memory': True})
        sys.exit()
say({'ready': {'rank': rank}})
for line in sys.stdin:
    request = json.loads(line)
    print(line, file=sys.stderr, flush=True)
    if how == 'killed' and rank == '1':
        os.kill(os.getpid(), 9)
    if how == 'killed' or how == 'slow':
        time.sleep(60 if how == 'killed' else 0.5)
    if how == 'rubbish':
        print('hello', flush=True)
    elif request['measure'] == 'epoch':
        say({'error': 'no epochs here'})
    elif request['measure'] == 'memory':
        say({'peak_bytes': 100 + int(rank)})
    else:
        say({'images': 8 * request.get('steps', 1), 'seconds': 0.5 + int(rank)})
"""

Start = Callable[..., Job]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Start:
    script = tmp_path / 'fake.py'
    script.write_text(FAKE)

    def job(how: str, ranks: int = 1, memory_limit: int = 0) -> Job:
        environments = [{**os.environ, 'RANK': str(rank)} for rank in range(ranks)]
        command = [sys.executable, str(script), how]
        return Job(command, environments, tmp_path / how, memory_limit)

    return job


@pytest.mark.parametrize('how', ['well', 'slow'])
def test_a_worker_is_asked_until_it_ends(start: Start, how: str) -> None:
    with start(how) as job:
        assert job.ready() == {'rank': '0'}
        assert job.rate('step', 1.0) == 16
        with pytest.raises(WorkerError, match='no epochs here'):
            job.rate('epoch', 1.0)
        assert job.usable
        assert job.peak_bytes() == 100
    assert job.processes[0].returncode == 0


@pytest.mark.parametrize(
    ('how', 'line', 'memory'),
    [
        ('crash', 'the worker ended by exit code 1: lib.cc: last words', False),
        ('refuse', 'no such model', True),
    ],
)
def test_a_worker_that_does_not_start(start: Start, how: str, line: str, memory: bool) -> None:
    with start(how) as job, pytest.raises(WorkerError) as caught:
        job.ready()
    assert str(caught.value) == line
    assert caught.value.out_of_memory is memory


def test_an_answer_that_is_no_json(start: Start) -> None:
    with start('rubbish') as job, pytest.raises(WorkerError, match='hello'):
        job.ready()
        job.rate('step', 1.0)


def test_a_memory_limit_ends_only_the_worker(start: Start) -> None:
    with start('hoard', memory_limit=2**30) as job, pytest.raises(WorkerError, match='too much'):
        job.ready()
    with start('well', memory_limit=2**30) as job:
        job.ready()


def test_processes_of_a_job_take_the_same_number_of_steps(
    start: Start, tmp_path: pathlib.Path
) -> None:
    with start('well', ranks=2) as job:
        job.ready()
        rates = [job.rate('step', 6.0) for _ in range(3)]
        assert job.peak_bytes() == 101
    assert rates == [8 / 1.5, 32 / 1.5, 128 / 1.5]  # the slower of the two, which claims 1.5 s
    for rank in range(2):
        asked = (tmp_path / 'well' / f'stderr-{rank}.txt').read_text().split('\n\n')
        steps = [json.loads(line).get('steps') for line in asked if line]
        assert steps == [1, 4, 16, None]


def test_one_that_is_killed_does_not_leave_the_others_waiting(start: Start) -> None:
    with pytest.raises(WorkerError, match='SIGKILL') as caught, start('killed', ranks=2) as job:
        job.ready()
        job.rate('step', 1.0)
    assert caught.value.out_of_memory
    assert not job.usable
    assert all(process.returncode is not None for process in job.processes)
