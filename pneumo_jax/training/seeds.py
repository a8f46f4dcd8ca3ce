"""Models of several seeds trained side by side: in one program, or by one that is called for each.

A step for all of them takes, where `own` says so of an argument of the step for one, a tuple of
what each has; the first argument is the state. It returns the states as a tuple, and metrics with a
last axis for the models.
"""

from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from pneumo_jax import runtime

# Bytes of memory that a program works in. Calls in 2 threads for one after another, on 2 cores, by
# their MB: `mlp` 1 1.41, `cnn` 28 px 16 1.12, `cnn_bn_dropout` 28 px 48 .93, ResNet-18 28 px 100
# .95 to 1.04, `cnn` 224 px 297 .75. What is above 64 MB, glibc does not keep for a thread.
LARGEST_IN_THREADS = 2**25
Step = Callable[..., tuple[Any, Any]]  # its arguments -> (state, metrics)


def compiled(
    step: Step, own: Sequence[bool], given: Sequence[Any], jit: Callable[..., Any], mesh: Mesh
) -> Step:
    """`step` for all models, compiled by `jit` for what is `given`, as this backend likes it."""
    if runtime.prefers_one_program():
        program: Step = jit(in_one_program(step, own)).lower(*given).compile()
        return program
    first = [of[0] if mine else of for of, mine in zip(given, own, strict=True)]
    return in_turn(jit(step).lower(*first).compile(), own, mesh)


def scored(state: Any) -> Any:
    """What the model of a state is judged with, or that of each of a tuple of states."""
    return tuple(map(scored, state)) if isinstance(state, tuple) else state.scored


def in_one_program(step: Step, own: Sequence[bool]) -> Step:
    """`step` under `vmap`."""
    mapped = jax.vmap(step, [0 if mine else None for mine in own], (0, -1))

    def together(*given: Any) -> tuple[tuple[Any, ...], Any]:
        stacked = [_stack(jnp, of) if mine else of for of, mine in zip(given, own, strict=True)]
        state, metrics = mapped(*stacked)
        each = range(len(given[0]))
        return tuple(jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in each), metrics

    return together


def in_turn(program: Any, own: Sequence[bool], mesh: Mesh) -> Step:
    """`program`, a compiled step, called for every model.

    As many calls at a time as there are cores, where that pays: what one leaves idle, others use.
    """
    # Of programs that talk between devices, two at a time would wait for each other.
    alone = mesh.size > 1 or program.memory_analysis().temp_size_in_bytes > LARGEST_IN_THREADS
    call = map if alone else futures.ThreadPoolExecutor(runtime.cores()).map

    def together(*given: Any) -> tuple[tuple[Any, ...], Any]:
        count = len(given[0])
        each = [of if mine else [of] * count for of, mine in zip(given, own, strict=True)]
        states, metrics = zip(*call(program, *each), strict=True)
        return states, _stack(np, metrics, -1)

    return together


def _stack(library: Any, trees: Sequence[Any], axis: int = 0) -> Any:
    return jax.tree.map(lambda *leaves: library.stack(leaves, axis), *trees)
