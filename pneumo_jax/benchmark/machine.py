"""What this machine can do at most: products of matrices, and copying memory.

    python -m pneumo_jax.benchmark.machine --rates

prints them as JSON, with where they were measured, and without `--rates` that alone. It is a
process of its own, so that nothing of it stays on the device.
"""

import json
import pathlib
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pneumo_jax import runtime

SECONDS = 0.2  # of every size
DTYPES = ('float32', 'bfloat16')
LARGEST = 8192  # side of a matrix
COPIED = 2**28  # bytes, more than any cache has


def main() -> None:
    """Measure the first device and print."""
    mesh = runtime.mesh()
    device = mesh.devices.flat[0]
    found = {
        'origin': runtime.provenance(),
        'platform': device.platform,
        'devices': mesh.size,
        'device': device.device_kind,
        'processor': processor(),
        'cores': runtime.cores(),
    }
    if '--rates' in sys.argv:
        found['flops_per_second'] = {dtype: product_rate(dtype) for dtype in DTYPES}
        found['copied_bytes_per_second'] = copy_rate()
    print(json.dumps(found))


def product_rate(dtype: str) -> float:
    """Floating-point operations a second in the product of two square matrices, of the best size.

    The sizes double while one product takes less than `SECONDS`.
    """
    multiply, best, size = jax.jit(jnp.matmul), 0.0, 256
    while size <= LARGEST:
        matrix = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
        seconds = time_of(multiply, matrix, matrix)
        best = max(best, 2 * size**3 / seconds)
        if seconds > SECONDS:
            break
        size *= 2
    return best


def copy_rate() -> float:
    """Bytes a second that are read, plus those that are written."""
    array = jnp.zeros(COPIED // 4, jnp.float32)
    return 2 * COPIED / time_of(jax.jit(jnp.negative), array)


def time_of(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of a call: the shortest mean over runs of calls that take `SECONDS` together."""
    jax.block_until_ready(function(*arguments))
    calls, best, spent = 1, float('inf'), 0.0
    while spent < SECONDS:
        started = time.perf_counter()
        jax.block_until_ready([function(*arguments) for _ in range(calls)])
        seconds = time.perf_counter() - started
        best, spent, calls = min(best, seconds / calls), spent + seconds, min(2 * calls, 64)
    return best


def processor() -> str:
    """The processor's name, where the system tells."""
    info = pathlib.Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor()


if __name__ == '__main__':
    main()
