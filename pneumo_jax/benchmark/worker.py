"""One process that measures one case: python -m pneumo_jax.benchmark.worker CASE

CASE is a JSON object with the fields of `Case`, and `folder`, where training may write. The worker
speaks JSON lines on stdout; everything else goes to stderr. First

    {"ready": {"compile_s": ..., "first_step_s": ..., "parameters": ..., "flops_per_step": ...}}

or {"error": "one line"} (with "out_of_memory": true where that was why), and an end. Then it
answers requests from stdin, until that ends:

    {"measure": "step" | "forward" | "input" | "epoch", "seconds": 1.0}   at least that long, or
    {"measure": ..., "steps": 10}        so many steps or epochs, for processes that must agree
        -> {"images": 1280, "seconds": 1.003}
    {"measure": "memory"} -> {"peak_bytes": ...}

Everything is warm before the clock starts, and waited for before it stops.
"""

import collections
import json
import os
import pathlib
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

import jax

from pneumo_jax import config as configs
from pneumo_jax import errors, runtime
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.workload import Workload
from pneumo_jax.training import loop

Request = dict[str, Any]
Answer = dict[str, Any]

AHEAD = 4  # steps started and not waited for: enough to keep a device busy, and bounded in memory
EPOCHS = 1000  # the most that one worker trains


def main(argument: str) -> None:
    """Build the case, say so, and answer."""
    answers = take_stdout()

    def tell(answer: Answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        case = json.loads(argument)
        folder = pathlib.Path(case.pop('folder', None) or tempfile.mkdtemp())
        runtime.start()
        work = Workload(Case(**case))
    except Exception as error:
        tell(failure(error))
        return
    tell({'ready': work.ready})
    Server(work, folder, map(json.loads, sys.stdin), tell).serve()


def take_stdout() -> IO[str]:
    """What stdout was; what else prints, libraries in C++ included, prints to stderr now."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    return answers


class Server:
    """Answers `requests` by way of `tell`."""

    def __init__(
        self,
        work: Workload,
        folder: pathlib.Path,
        requests: Iterator[Request],
        tell: Callable[[Answer], None],
    ) -> None:
        self.work, self.folder, self.requests, self.tell = work, folder, requests, tell

    def serve(self, until: str = '') -> Request:
        """Answer until there is one to measure `until`, which is returned; exit at the end."""
        for request in self.requests:
            if request['measure'] == until:
                return request
            try:
                self.answer(request)
            except Exception as error:
                self.tell(failure(error))
        sys.exit()

    def answer(self, request: Request) -> None:
        """Do what is asked, and tell."""
        measure, work = request['measure'], self.work
        if measure == 'memory':
            self.tell({'peak_bytes': work.peak_bytes()})
        elif measure == 'epoch':
            self.train(request)
        else:
            parts = {'step': work.step, 'forward': work.forward, 'input': work.input}
            count, seconds = repeat(parts[measure], request)
            self.tell({'images': count * work.case.images_per_step, 'seconds': seconds})

    def train(self, request: Request) -> None:
        """Answer `request`, and those to come for epochs, out of one training that stands still
        after the line of an epoch until it is asked for more. The first epoch compiles."""
        work, epochs, started = self.work, -1, 0.0

        def say(line: str) -> None:
            nonlocal request, epochs, started
            if not line.startswith('Epoch '):
                return
            epochs += 1
            seconds = time.perf_counter() - started
            if epochs and enough(request, epochs, seconds):
                self.tell({'images': epochs * len(work.dataset.train), 'seconds': seconds})
                request, epochs = self.serve(until='epoch'), 0
            if not epochs:
                started = time.perf_counter()

        loop.fit(
            config_of(work.case),
            work.model,
            work.preprocess,
            train=work.dataset.train,
            val=work.dataset.val,
            folder=self.folder,
            meta={},
            say=say,
        )
        raise errors.UserError(f'all {EPOCHS} epochs are over; measure fewer seconds.')


def config_of(case: Case) -> Any:
    """The run that trains `case`: the defaults are the notebook's recipe, plain Adam."""
    config = configs.defaults(case.model['name'])
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in case.model.items()}
    config.model.update(fields)
    config.update({'batch_size': case.images_per_step, 'epochs': EPOCHS})
    return config.lock()


def repeat(start: Callable[[], Any], request: Request) -> tuple[int, float]:
    """(how often, in how many seconds) `start` was called, and what it returned was there."""
    jax.block_until_ready(start())
    count, under_way = 0, collections.deque[Any]()
    began = time.perf_counter()
    while not count or not enough(request, count, time.perf_counter() - began):
        under_way.append(start())
        count += 1
        if len(under_way) > AHEAD:
            jax.block_until_ready(under_way.popleft())
    jax.block_until_ready(list(under_way))
    return count, time.perf_counter() - began


def enough(request: Request, count: int, seconds: float) -> bool:
    """Whether `count` steps in `seconds` are what was asked for."""
    return count >= request['steps'] if 'steps' in request else seconds >= request['seconds']


def failure(error: Exception) -> Answer:
    """The error in one line; where it is no `UserError`, its traceback goes to stderr."""
    line = ' '.join(str(error).split())
    if isinstance(error, errors.UserError):
        return {'error': line}
    traceback.print_exception(error)
    memory = isinstance(error, MemoryError) or 'RESOURCE_EXHAUSTED' in line
    return {'error': f'{type(error).__name__}: {line}'[:500], 'out_of_memory': memory}


if __name__ == '__main__':
    main(sys.argv[1])
