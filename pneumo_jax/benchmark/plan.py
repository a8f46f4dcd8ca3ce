"""What a command line asks for, checked before anything is measured."""

import dataclasses
import itertools
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from pneumo_jax import data, errors
from pneumo_jax.benchmark import cases
from pneumo_jax.benchmark.cases import Case, Group

Machine = dict[str, Any]  # what machine.py prints

HAS_TORCH = 'import importlib.util as u; print(u.find_spec("torch") is not None)'
VIRTUAL_MOST = 64


@dataclasses.dataclass(frozen=True)
class Options:
    """The command line: see `python -m pneumo_jax benchmark --help`."""

    models: Sequence[str]
    sizes: Sequence[int]
    batches: Sequence[int]
    dtypes: Sequence[str]
    devices: Sequence[int]
    processes: Sequence[int]
    seeds: int
    measure: Sequence[str]
    repeats: int
    seconds: float
    peers: Sequence[str]
    peers_python: str
    largest_batch: bool
    memory_limit: float  # GiB; 0 is most of what is available
    data: str
    out: pathlib.Path

    @property
    def python_of_peers(self) -> str:
        """The program that runs them."""
        return self.peers_python or sys.executable

    def limit(self, machine: Machine) -> int:
        """`memory_limit` in bytes; 0 where none is given, and on a GPU, which has its own."""
        return int(self.memory_limit * 2**30) if machine['platform'] == 'cpu' else 0


def groups(options: Options) -> list[Group]:
    """The groups to measure, after every check that needs no device.

    Raises:
        UserError: the data cannot be read or are fewer than a step takes, the peers have no torch,
            or a case cannot be.
    """
    given = data.load(name='', size=options.sizes[0], path=options.data) if options.data else None
    channels, classes = (given.image_shape[2], len(given.classes)) if given else (1, 2)
    if options.memory_limit and not options.largest_batch:
        raise errors.UserError('--memory-limit is for the search of --largest-batch: give both.')
    if options.peers_python and not options.peers:
        raise errors.UserError('--peers-python is that of --peers: give both.')
    if options.peers:
        check_peers(options.python_of_peers)
    found = cases.groups(
        options.models,
        options.sizes,
        options.batches,
        options.dtypes,
        devices=options.devices,
        processes=options.processes,
        seeds=options.seeds,
        peers=options.peers,
        data=options.data,
        channels=channels,
        classes=classes,
    )
    most = max(case.batch * case.mesh_size for group in found for case in group)
    if given and most > len(given.train):
        raise errors.UserError(
            f'a step of {most} images (batch x devices x processes) is more than the '
            f'{len(given.train)} training images of {options.data}; give --batches less.'
        )
    return found


def check_peers(python: str) -> None:
    """Refuse (`UserError`) a Python without torch, and a folder without the peers' program."""
    if not cases.PEERS_SCRIPT.is_file():
        raise errors.UserError(
            f'--peers needs {cases.PEERS_SCRIPT}: start from a checkout of the project.'
        )
    try:
        said = subprocess.run([python, '-c', HAS_TORCH], capture_output=True, text=True).stdout
    except OSError as error:
        raise errors.UserError(f'--peers-python={python}: {error.strerror}.') from error
    if said.strip() != 'True':
        raise errors.UserError(
            f'{python} has no torch: pip install -r {cases.PEERS_SCRIPT.parent}/requirements.txt, '
            'or name a Python that has it with --peers-python.'
        )


def check_devices(groups: Sequence[Group], machine: Machine) -> None:
    """Refuse (`UserError`) more devices than there are, or than may be parts of one processor."""
    most = max(case.mesh_size for group in groups for case in group)
    if machine['platform'] == 'cpu' and most > VIRTUAL_MOST:
        raise errors.UserError(
            f'--devices and --processes ask for {most} devices together; a CPU is taken for '
            f'{VIRTUAL_MOST} at most.'
        )
    if machine['platform'] != 'cpu' and most > machine['devices']:
        raise errors.UserError(
            f'--devices and --processes ask for {most} devices together; here are '
            f'{machine["devices"]} ({machine["device"]}).'
        )


def gpus(machine: Machine) -> tuple[str, ...]:
    """The names that CUDA has for the devices, where they are GPUs."""
    if machine['platform'] != 'gpu':
        return ()
    named = os.environ.get('CUDA_VISIBLE_DEVICES')
    return tuple(named.split(',') if named else map(str, range(machine['devices'])))


def searches(groups: Sequence[Group]) -> list[Case]:
    """One case, without a batch, for every model, size, type and variant on one device."""
    found: list[Case] = []
    for case in itertools.chain(*groups):
        plain = dataclasses.replace(case, batch=0, devices=1, processes=1, seeds=1)
        if plain not in found:
            found.append(plain)
    return found
