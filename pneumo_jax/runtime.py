"""The machine: processes, devices and their mesh, random keys, and where a result came from.

The only module that asks jax for devices or processes.
"""

import functools
import importlib.metadata
import os
import pathlib
import shlex
import subprocess
import sys
import zlib
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pneumo_jax import errors

AXIS = 'data'
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy', 'scikit-learn')


def start() -> None:
    """Join the other processes of a job, where the environment names a coordinator.

    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID are jax's own variables.
    """
    if 'JAX_COORDINATOR_ADDRESS' in os.environ and not jax.distributed.is_initialized():
        jax.distributed.initialize(
            num_processes=int(os.environ['JAX_NUM_PROCESSES']),
            process_id=int(os.environ['JAX_PROCESS_ID']),
        )


def is_main() -> bool:
    """Whether this is the process that prints and writes."""
    return jax.process_index() == 0


def is_job() -> bool:
    """Whether this process is one of several."""
    return jax.process_count() > 1


def should_stop(step: int) -> bool:
    """Whether a SIGTERM reached a process of the job; the same in all of them at a given step."""
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)


def mesh() -> Mesh:
    """Every device of every process, in one row: training is data-parallel over it."""
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def shard(batch: Any, mesh: Mesh) -> Any:
    """Spread the leading axis of host arrays, whole in every process, over the mesh."""
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    def place(array: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(place, batch)


def check_batch_size(field: str, batch_size: int, devices: int) -> None:
    """Refuse a batch that `devices` cannot share evenly (`UserError`)."""
    if batch_size % devices:
        below = batch_size // devices * devices
        near = [str(size) for size in (below, below + devices) if size]
        raise errors.UserError(
            f'config.{field}={batch_size} does not divide over {devices} devices; '
            f'the nearest that do: {" and ".join(near)}.'
        )


def key(seed: int, purpose: str) -> jax.Array:
    """The random key for one purpose of a run: streams of different purposes are independent."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(purpose.encode()))


def provenance() -> dict[str, Any]:
    """What a result file says of its origin: command, commit, versions and devices."""
    devices = jax.devices()
    return {
        'command': shlex.join(['python', *sys.orig_argv[1:]]),
        'commit': _commit(),
        'python': sys.version.split()[0],
        'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
        'device': f'{len(devices)} x {devices[0].device_kind} ({devices[0].platform})',
        'processes': jax.process_count(),
    }


@functools.cache
def _commit() -> str:
    """The commit of the checkout this code runs from, with '+changes' where files differ."""
    folder = pathlib.Path(__file__).parent
    git = functools.partial(subprocess.run, cwd=folder, capture_output=True, text=True, check=True)
    try:
        commit = git(['git', 'rev-parse', 'HEAD']).stdout.strip()
        changed = git(['git', 'status', '--porcelain', '--untracked-files=no']).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f'not a git checkout; pneumo_jax {importlib.metadata.version("pneumo_jax")}'
    return commit + ('+changes' if changed else '')
