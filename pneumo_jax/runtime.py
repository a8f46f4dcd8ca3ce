"""The machine: processes, devices and their mesh, compiled programs, random keys, and provenance.

The only module that asks jax for devices or processes.
"""

import contextlib
import functools
import importlib.metadata
import itertools
import os
import pathlib
import platform
import shlex
import stat
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pneumo_jax import errors, forms, host

AXIS = 'data'
# XLA gives convolutions on a CPU to YNNPACK, which uses one core where there are at most 64 output
# channels; its own are 1.3 to 3 times faster on 2 cores. Products and sums are better left there.
# And barriers, which models/ sets where XLA would compute a map many times, are to be kept.
CPU_COMPILER = {
    'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,'
    'LIBRARY_FUSION_TYPE_REDUCE',
    'xla_disable_hlo_passes': 'cse_barrier_expander',
}
DATA_SHARE = 0.4  # of a device's memory, for images that stay on it
CACHE_BYTES = 2 * 2**30  # a run of one model and size leaves 0.1 to 4 MB
TOLD = 4096  # bytes of a message from the main process to the others
ZSTANDARD = b'\x28\xb5\x2f\xfd'  # what jax packs programs with where it can, else with zlib
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy', 'scikit-learn')
# What makes a commit another one, as git's arguments.
CODE = ('--', ':/', ':(top,exclude)*.md', ':(top,exclude)experiments/*/results/*')


def start() -> None:
    """Keep compiled programs, and join the other processes where the environment names a job.

    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID are jax's own variables. Raises
    UserError where they name no job, or one that this process cannot join.
    """
    # On a CPU programs run in the thread that calls them: its malloc can keep their memory.
    jax.config.update('jax_cpu_enable_async_dispatch', False)
    _keep_programs()
    # Such images are refused in a line; and letters that the font lacks are boxes in a figure.
    warnings.filterwarnings('ignore', 'Image size .* exceeds limit|Glyph .* missing from')
    if 'JAX_COORDINATOR_ADDRESS' in os.environ and not jax.distributed.is_initialized():
        try:
            count, own = (
                int(os.environ[f'JAX_{name}']) for name in ('NUM_PROCESSES', 'PROCESS_ID')
            )
        except (KeyError, ValueError) as error:
            raise errors.UserError(
                'a job of several processes (JAX_COORDINATOR_ADDRESS) needs whole numbers in '
                f'JAX_NUM_PROCESSES and JAX_PROCESS_ID ({error}).'
            ) from error
        try:
            jax.distributed.initialize(num_processes=count, process_id=own)
        except (ValueError, IndexError, RuntimeError) as error:
            given = os.environ['JAX_COORDINATOR_ADDRESS']
            raise errors.UserError(
                f'process {own} of {count} cannot join the job at {given}: {error}'
            ) from error


def _keep_programs() -> None:
    """Let compiled programs outlive the process, for the next start; without a word where not."""
    if 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS' not in os.environ:
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
    # An entry that is damaged, or a full disk: the program is compiled, and that is all.
    warnings.filterwarnings('ignore', 'Error (reading|writing) persistent compilation cache')
    if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
        return
    with contextlib.suppress(OSError, RuntimeError):  # no home, or a read-only one
        base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
        folder = pathlib.Path(base, 'pneumo_jax', 'xla', _processor())
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            jax.config.update('jax_compilation_cache_dir', str(folder))
        tidy(folder)


def tidy(folder: pathlib.Path) -> None:
    """Remove programs that a kill cut short, and what is more than CACHE_BYTES, least used first.

    jax never replaces an entry; its own bound on the size needs one package more.
    """
    kept = 0
    for entry in sorted(folder.glob('*-cache'), key=lambda path: -path.stat().st_atime):
        kept += entry.stat().st_size
        if kept > CACHE_BYTES or not _is_whole(entry):
            entry.unlink()


def _is_whole(entry: pathlib.Path) -> bool:
    """Whether a program can be unpacked. It is asked once: then the file is made read-only."""
    if not entry.stat().st_mode & stat.S_IWUSR:
        return True
    content = entry.read_bytes()
    try:
        if not content.startswith(ZSTANDARD):
            zlib.decompress(content)
    except zlib.error:
        return False
    entry.chmod(stat.S_IRUSR)
    return True


def _processor() -> str:
    """A name for this kind of processor: homes are shared between machines, and what is compiled
    for one may crash on another."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as lines:  # noqa: PTH123
            first = list(itertools.takewhile(str.strip, lines))
    except OSError:
        first = [f'model name {platform.processor()}']
    kind = [line for line in first if line.startswith(('model name', 'flags', 'Features'))]
    return f'{platform.machine()}-{zlib.crc32("".join(kind).encode()):08x}'


def jit(
    function: Callable[..., Any], *, options: Mapping[str, Any] | None = None, **how: Any
) -> Any:
    """`jax.jit`, with what this backend's compiler needs to be fast; `options` go before that."""
    backend = jax.default_backend()
    own: Mapping[str, Any] = CPU_COMPILER if backend == 'cpu' else {}
    traced = forms.tracing_for(backend)(function)
    return jax.jit(traced, compiler_options={**own, **(options or {})}, **how)


def on_cpu() -> contextlib.AbstractContextManager[Any]:
    """Within it what runs by itself runs on the processor, where jax has that beside a GPU."""
    try:
        return jax.default_device(jax.local_devices(backend='cpu')[0])
    except RuntimeError:  # JAX_PLATFORMS leaves it out
        return contextlib.nullcontext()


def is_main() -> bool:
    """Whether this is the process that prints and writes."""
    return jax.process_index() == 0


def by_main(action: Callable[[], None]) -> None:
    """Let the main process do something; a `UserError` that it meets is raised in every process.

    Else the others would wait for it, until the job gives up.
    """
    told = b''
    if is_main():
        try:
            action()
        except errors.UserError as error:
            told = str(error).encode()[:TOLD]
    if is_job():
        from jax.experimental import multihost_utils

        padded = np.frombuffer(told.ljust(TOLD, b'\0'), np.uint8)
        told = np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes().rstrip(b'\0')
    if told:
        raise errors.UserError(told.decode(errors='replace'))


def is_job() -> bool:
    """Whether this process is one of several."""
    return jax.process_count() > 1


def should_stop(step: int) -> bool:
    """Whether a SIGTERM reached a process of the job; the same in all of them at a given step."""
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)


def mesh() -> Mesh:
    """Every device of every process, in one row: training is data-parallel over it.

    Raises UserError where jax finds none.
    """
    try:
        count = jax.device_count()
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get('JAX_PLATFORMS', '')
        raise errors.UserError(f'jax finds no device (JAX_PLATFORMS={asked}): {error}') from error
    return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Put host arrays, whole in every process, whole on every device.

    On a CPU an array whose memory is aligned to 64 bytes is not copied.
    """
    return _place(tree, replicated(mesh))


def on_host(tree: Any) -> Any:
    """What the first device holds as arrays of the host, not copied where it is there already."""
    return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_data(0)), tree)


def shard(batch: Any, mesh: Mesh, axis: int = 0) -> Any:
    """Spread axis `axis` of host arrays, whole in every process, over the mesh."""
    return _place(batch, NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS)))


def _place(tree: Any, sharding: NamedSharding) -> Any:
    def place(array: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(place, tree)


def fits(nbytes: int) -> bool:
    """Whether so many bytes of data may stay on every device; on a CPU they lie there already."""
    limits = [device.memory_stats() for device in jax.local_devices()]
    return all(not limit or nbytes <= DATA_SHARE * limit['bytes_limit'] for limit in limits)


def prefers_one_program() -> bool:
    """Whether many steps, or those of many models, are best one program.

    On a CPU a loop is 5 to 26 times slower, and several models' convolutions 1.1 to 1.4 times.
    """
    return jax.default_backend() != 'cpu'


def cores() -> int:
    """How many processor cores this process may use."""
    return len(host.cores())


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
def _commit(folder: pathlib.Path = pathlib.Path(__file__).parent) -> str:
    """The commit of the checkout this code runs from, with '+changes' where files differ.

    Results, and the pages that they are put into, may differ: no run reads them, and a study that
    has ended has just renewed its own. A copy without git's history, as in a container, is told its
    commit by $PNEUMO_JAX_COMMIT.
    """
    told = os.environ.get('PNEUMO_JAX_COMMIT')
    if told:
        return told
    git = functools.partial(subprocess.run, cwd=folder, capture_output=True, text=True, check=True)
    try:
        commit = git(['git', 'rev-parse', 'HEAD']).stdout.strip()
        changed = git(['git', 'status', '--porcelain', '--untracked-files=no', *CODE]).stdout
    except (OSError, subprocess.CalledProcessError):
        return 'not a git checkout'
    return commit + ('+changes' if changed else '')
