"""What this machine has for a process, told without jax."""

import os
import pathlib


def cores() -> list[int]:
    """The processor cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def available_bytes() -> int:
    """Memory that a new process can have without swapping; 0 where the system does not tell."""
    info = pathlib.Path('/proc/meminfo')
    lines = info.read_text().splitlines() if info.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith('MemAvailable:'))
