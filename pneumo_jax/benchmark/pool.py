"""Worker processes, started and asked: JSON lines on their stdin and stdout (see worker.py)."""

import contextlib
import json
import pathlib
import re
import resource
import signal
import subprocess
from multiprocessing import connection
from typing import Any

Answer = dict[str, Any]
Environment = dict[str, str]
# Last words of a process that may allocate no more: C++'s, those of threads, OpenBLAS's.
OUT_OF_MEMORY = ('bad_alloc', 'pthread_create failed', 'Memory allocation still failed')
PATIENCE = 20  # seconds that a worker has to end by itself


class WorkerError(Exception):
    """A worker ended, or said in one line that it cannot; `out_of_memory` where that was why."""

    def __init__(self, line: str, *, out_of_memory: bool = False) -> None:
        super().__init__(' '.join(line.split()))
        self.out_of_memory = out_of_memory


class Job:
    """The processes of one case, one for each environment. What they print goes below `folder`.

    Leaving the block ends them. `memory_limit` is what each may allocate, in bytes; 0 is no limit.
    """

    def __init__(
        self,
        command: list[str],
        environments: list[Environment],
        folder: pathlib.Path,
        memory_limit: int = 0,
    ) -> None:
        folder.mkdir(parents=True)
        self._logs = [folder / f'stderr-{rank}.txt' for rank in range(len(environments))]
        self._steps: dict[str, int] = {}
        self.processes = []
        for log, environment in zip(self._logs, environments, strict=True):
            with log.open('w') as stderr:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is the parent's to hear
                )
            if memory_limit and hasattr(resource, 'prlimit'):
                limits = (memory_limit, memory_limit)
                resource.prlimit(process.pid, resource.RLIMIT_DATA, limits)
            self.processes.append(process)

    def ready(self) -> Answer:
        """What the first process says of itself once all are ready; else `WorkerError`."""
        return self._answers()[0]['ready']

    def rate(self, measure: str, seconds: float) -> float:
        """Images a second over at least `seconds`; `WorkerError` where that cannot be had.

        Processes of one job must take the same number of steps, which is chosen by the last rate.
        """
        steps = self._steps.get(measure, 1)
        answer = self.ask(
            {'measure': measure, 'seconds': seconds}
            if len(self.processes) == 1
            else {'measure': measure, 'steps': steps}
        )
        self._steps[measure] = max(1, round(steps * seconds / answer['seconds']))
        return answer['images'] / answer['seconds']

    def peak_bytes(self) -> int:
        """The most memory that a process of the job, or its device, has used so far."""
        return self.ask({'measure': 'memory'})['peak_bytes']

    def ask(self, request: dict[str, Any]) -> Answer:
        """The slowest or largest answer to `request`; an error is a `WorkerError`."""
        for process in self.processes:
            try:
                print(json.dumps(request), file=process.stdin, flush=True)
            except BrokenPipeError as error:
                raise self._ended(process) from error
        return max(self._answers(), key=lambda answer: list(answer.values())[-1])

    @property
    def usable(self) -> bool:
        """Whether it can be asked again after an error; of several processes one is now behind."""
        return len(self.processes) == 1 and self.processes[0].poll() is None

    def _answers(self) -> list[Answer]:
        """A line of every process, or the error of the first that has one."""
        answers: dict[Any, Answer] = {process.stdout: {} for process in self.processes}
        while waiting := [stream for stream, answer in answers.items() if not answer]:
            for stream in connection.wait(waiting):
                process = next(p for p in self.processes if p.stdout is stream)
                answers[stream] = self._read(process)
        return list(answers.values())

    def _read(self, process: subprocess.Popen[str]) -> Answer:
        line = process.stdout.readline() if process.stdout else ''
        if not line:
            raise self._ended(process)
        try:
            answer: Answer = json.loads(line)
        except ValueError as error:
            raise WorkerError(f'the worker answered {line!r}, which is no JSON') from error
        if 'error' in answer:
            raise WorkerError(answer['error'], out_of_memory=answer.get('out_of_memory', False))
        return answer

    def _ended(self, process: subprocess.Popen[str]) -> WorkerError:
        """How a process ended that should not have."""
        code = process.wait(PATIENCE)
        how = signal.Signals(-code).name if code < 0 else f'exit code {code}'
        log = self._logs[self.processes.index(process)].read_text(errors='replace')
        # C++ follows its last words by a stack trace.
        said = [line for line in log.splitlines() if not re.match(r'\s*(@|\*\*\*|$)', line)]
        return WorkerError(
            f'the worker ended by {how}: {said[-1][:200] if said else "it said nothing"}',
            out_of_memory=code == -signal.SIGKILL or any(words in log for words in OUT_OF_MEMORY),
        )

    def __enter__(self) -> 'Job':
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for process in self.processes:
            if kind:
                process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
        for process in self.processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
