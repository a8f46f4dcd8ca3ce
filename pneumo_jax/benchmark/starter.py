"""How a worker is started: its command, its devices, and where it meets the others of its job."""

import dataclasses
import json
import os
import pathlib
import re
import socket
import subprocess
import sys

from pneumo_jax import errors
from pneumo_jax.benchmark import cases
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.pool import Answer, Environment, Job

VIRTUAL = '--xla_force_host_platform_device_count'
JOINING = ('JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID')
DEVICES = 'JAX_NUM_CPU_DEVICES'  # says the same as `VIRTUAL`, and goes before it


@dataclasses.dataclass(frozen=True)
class Starter:
    """How the worker of a case is started. `gpus` are shared out, where there are any."""

    scratch: pathlib.Path
    peers_python: str
    gpus: tuple[str, ...] = ()

    def start(self, case: Case, data: pathlib.Path, memory_limit: int = 0) -> Job:
        """The job of `case`, with the npz `data`; `Job.ready` waits until it is compiled."""
        folder = self.scratch / f'job-{len(list(self.scratch.glob("job-*")))}'
        given = {**dataclasses.asdict(case), 'data': str(data), 'folder': str(folder / 'run')}
        program = [sys.executable, '-m', 'pneumo_jax.benchmark.worker']
        if case.variant != cases.OURS:
            program = [self.peers_python, str(cases.PEERS_SCRIPT)]
        meeting = f'127.0.0.1:{free_port()}'
        environments = [self.environment(case, rank, meeting) for rank in range(case.processes)]
        return Job([*program, json.dumps(given)], environments, folder, memory_limit)

    def machine(self, *, rates: bool) -> Answer:
        """What machine.py finds, with `rates` or without. UserError where jax does not start."""
        command = [sys.executable, '-m', 'pneumo_jax.benchmark.machine', *['--rates'][:rates]]
        alone = Case(cases.OURS, '', {}, 0, 0)
        environment = self.environment(alone, 0, '')
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise errors.UserError(f'jax does not start here: {said[-1] if said else "no word"}')
        return json.loads(done.stdout.splitlines()[-1])

    def environment(self, case: Case, rank: int, meeting: str) -> Environment:
        """Of process `rank` of a case: its devices, and where it meets the others."""
        dropped = (*JOINING, DEVICES)
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        flags = re.sub(rf'{VIRTUAL}=\d+', '', kept.get('XLA_FLAGS', ''))
        kept |= {
            'XLA_FLAGS': f'{flags} {VIRTUAL}={case.devices}'.strip(),
            'JAX_ENABLE_COMPILATION_CACHE': 'false',  # or there would be no compile time
            # Several workers share a GPU, and jax's habit is to take most of its memory at once.
            'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
        }
        if case.variant == cases.NOTEBOOK:  # it is measured as its users have it
            kept.pop('GLIBC_TUNABLES', None)
        if self.gpus:
            mine = self.gpus[rank * case.devices : (rank + 1) * case.devices]
            kept['CUDA_VISIBLE_DEVICES'] = ','.join(mine)
        if case.processes > 1:
            kept |= dict(zip(JOINING, (meeting, str(case.processes), str(rank)), strict=True))
        return kept


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]
