"""Operations that are written in one way for a CPU and in another for the rest."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

from jax import lax

Form = Callable[..., Any]
_for_conversion = contextvars.ContextVar('_for_conversion', default=False)


def choose(*operands: Any, cpu: Form, default: Form, converted: Form | None = None) -> Any:
    """`cpu(*operands)` or `default(*operands)`, by the platform that the program is lowered for.

    Under `for_conversion` it is `converted`, or else the default.
    """
    if _for_conversion.get():
        return (converted or default)(*operands)
    return lax.platform_dependent(*operands, cpu=cpu, default=default)


@contextlib.contextmanager
def for_conversion() -> Iterator[None]:
    """Trace in this block for a format that knows no platforms, such as ONNX."""
    token = _for_conversion.set(True)
    try:
        yield
    finally:
        _for_conversion.reset(token)
