"""Four virtual CPU devices for every test, and doors opened as a user opens them.

Tests of numbers run on a GPU too:

    JAX_PLATFORMS=cuda JAX_DEFAULT_MATMUL_PRECISION=highest pytest tests/models/test_ops.py
"""

import functools
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

if os.environ.setdefault('JAX_PLATFORMS', 'cpu') == 'cpu':
    # Nearly all the time of these tests goes into compiling; unoptimised code is there sooner.
    os.environ['XLA_FLAGS'] = (
        '--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0'
    )

os.environ.pop('PNEUMO_JAX_COMMIT', None)  # tests ask git

ROOT = pathlib.Path(__file__).parent.parent

# They take minutes. Begun last, one of them would run long after all others are done.
FIRST = ('test_run.py', 'test_end_to_end.py', 'test_main.py')
Door = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which files are given to workers."""
    items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.fixture(scope='session', autouse=True)
def strict_jax() -> None:
    """No random key is used twice."""
    import jax

    jax.config.update('jax_debug_key_reuse', True)


@pytest.fixture(scope='session', autouse=True)
def drawn_once() -> Iterator[None]:
    """Synthetic images, the same at every call, take a second to draw."""
    from pneumo_jax.data import synthetic

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, 'synthetic', functools.cache(synthetic.synthetic))
        yield


@pytest.fixture(scope='session')
def real_data() -> pathlib.Path:
    """The folder with the official file; tests that need it are skipped where it is absent."""
    folder = pathlib.Path(os.environ.get('PNEUMO_JAX_DATA') or pathlib.Path.home() / '.medmnist')
    if not (folder / 'pneumoniamnist.npz').exists():
        pytest.skip(f'no pneumoniamnist.npz in {folder}: set PNEUMO_JAX_DATA to its folder')
    return folder


@pytest.fixture(scope='session')
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user's process: one device, optimised code, compiled once for all."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith('XLA_')}
    cache = {
        'JAX_COMPILATION_CACHE_DIR': str(tmp_path_factory.mktemp('compiled')),
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    }
    return {**kept, **cache, 'PYTHONPATH': str(ROOT)}


@pytest.fixture
def door(tmp_path: pathlib.Path, environment: dict[str, str]) -> Door:
    """Run `python -m MODULE ARGUMENTS` in the repository, as a process of its own."""

    def run(module: str, *arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, '-m', module, *map(str, arguments)],
            cwd=ROOT,
            env={**environment, **extra},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
