"""Operations that are written in one way for a CPU and in another for the rest."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax import lax

Form = Callable[..., Any]
CONVERSION = 'conversion'  # to a format that knows no platforms, such as ONNX
_traced_for = contextvars.ContextVar('_traced_for', default='')


def choose(*operands: Any, cpu: Form, default: Form, converted: Form | None = None) -> Any:
    """`cpu(*operands)` or `default(*operands)`, by the platform that the program is lowered for.

    While `tracing_for` a platform only its own is traced; for conversion that is `converted` or
    else the default.
    """
    known = {'cpu': cpu, 'gpu': default, CONVERSION: converted or default}.get(_traced_for.get())
    if known:
        return known(*operands)
    return lax.platform_dependent(*operands, cpu=cpu, default=default)


def for_gpu() -> bool:
    """Whether what is traced now is for a GPU alone."""
    return _traced_for.get() == 'gpu'


def unkept(function: Form) -> Form:
    """`function`, which for a GPU keeps nothing but its arguments for its gradient.

    A GPU waits for memory and not for arithmetic, so that it works out anew what is cheap.
    """
    return jax.checkpoint(function) if for_gpu() else function


@contextlib.contextmanager
def tracing_for(platform: str) -> Iterator[None]:
    """What is traced in this block, or in a function that this decorates, is for `platform` only.

    Tracing both forms of every convolution takes a second for ResNet-50.
    """
    token = _traced_for.set(platform)
    try:
        yield
    finally:
        _traced_for.reset(token)
