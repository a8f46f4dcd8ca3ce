"""Start a variant, and time what it is asked for."""

import functools
import importlib.metadata
import pathlib
import platform
import resource
import time
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count
from torch_side import models
from torch_side.notebook import Notebook
from torch_side.tuned import Tuned

MEASURES = ('step', 'forward', 'input', 'epoch')
PACKAGES = ('torch', 'torchvision', 'timm', 'numpy', 'pillow')

Answer = dict[str, Any]


def start(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[Tuned | Notebook, Answer]:
    """The variant, two steps trained, and what the worker says of itself.

    Compiled, the first step took `compile_s` more than the second, which is then `first_step_s`.
    `flops_per_step` are those of convolutions and products of matrices.
    """
    # As XLA does on a CPU, so that tiny moments of a long training are not slower than others.
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    variant = Notebook if case['variant'] == 'torch notebook' else Tuned
    peer = variant(case, arrays, device)
    peer.model.train()
    first, second = timed(peer, 'step', 0)[1], timed(peer, 'step', 0)[1]
    compiling = max(0.0, first - second) if case['variant'] == 'torch compile' else 0.0
    return peer, {
        'compile_s': compiling,
        'first_step_s': first - compiling,
        'parameters': sum(parameter.numel() for parameter in peer.model.parameters()),
        'device': describe(device),
        'versions': {
            'python': platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        'flops_per_step': flops_per_step(case),
    }


def answer(peer: Tuned | Notebook, request: dict[str, Any]) -> Answer:
    """What the protocol answers to `request`; a measure that there is not is a `ValueError`."""
    what = request['measure']
    if what == 'memory':
        return {'peak_bytes': peak_bytes(peer.device)}
    if what not in MEASURES:
        raise ValueError(f'unknown measure {what!r}: {", ".join(MEASURES)} and memory are there.')
    warm_up(peer, what)
    peer.model.train(what != 'forward')
    images, seconds = timed(peer, what, request['seconds'])
    return {'images': images, 'seconds': seconds}


@functools.cache  # once in a worker
def warm_up(peer: Tuned | Notebook, what: str) -> None:
    """Compile and run what `what` needs beside the step, which is warm from the start."""
    if what in ('forward', 'epoch'):
        peer.model.eval()
        peer.forward()
    elif what == 'input':
        peer.input()


def timed(peer: Tuned | Notebook, what: str, at_least: float) -> tuple[int, float]:
    """(images, seconds) of as many runs as fill `at_least` seconds, one or more, waited for."""
    run, images = getattr(peer, what), 0
    wait(peer.device)
    begin = time.perf_counter()
    while not images or time.perf_counter() - begin < at_least:
        images += run()
    wait(peer.device)
    return images, time.perf_counter() - begin


def wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize()


def peak_bytes(device: torch.device) -> int:
    """Of the GPU's memory, or else of the process."""
    status = pathlib.Path('/proc/self/status')
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated()
    if status.exists():  # Linux, whose getrusage counts in what the parent process had
        return int(status.read_text().split('VmHWM:')[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def describe(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name()
    return f'cpu ({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} threads'


def flops_per_step(case: dict[str, Any]) -> int:
    """Of forward and backward pass, counted on tensors without contents."""
    with torch.device('meta'):
        model = models.of_case(case)
        images = torch.zeros(case['batch'], case['channels'], case['size'], case['size'])
        gradient = {torch.ops.aten.convolution_backward: conv_gradient_flops}
        with FlopCounterMode(display=False, custom_mapping=gradient) as counter:
            model(images).sum().backward()
    return counter.get_total_flops()


def conv_gradient_flops(grad_out: Any, x: Any, weight: Any, *rest: Any, **shape: Any) -> int:
    """As many as forward for each of both gradients; torch's own forgets that there are groups."""
    *_, transposed, _padding, _groups, wanted = rest
    return conv_flop_count(x, weight, grad_out, transposed) * sum(wanted[:2])
