"""What the methods have in common: the number that they explain, compiled, and batches."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pneumo_jax import runtime
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.trained import Member

BATCH = 64  # images, and fewer where they have more than PIXELS together: gradients take memory
PIXELS = 2**20
Images = Float[Array, 'b h w c']  # between 0 and 1
Path = tuple[str, ...]


def log_odds(logits: Float[Array, 'b k'], targets: Int[Array, ' b']) -> Float[Array, ' b']:
    """log(p / (1 - p)) of each target class.

    A logit alone says nothing: adding the same to all of them changes no probability.
    """
    own = jax.nn.one_hot(targets, logits.shape[-1], dtype=bool)
    others = jax.nn.logsumexp(jnp.where(own, -jnp.inf, logits), axis=-1)
    return jnp.where(own, logits, 0).sum(-1) - others


def score(
    model: nn.Module, preprocess: Preprocess, variables: Any, images: Images, targets: Any
) -> Float[Array, ' b']:
    """`log_odds` of images between 0 and 1."""
    logits: Any = model.apply(variables, preprocess.normalise(images), train=False)
    return log_odds(logits, targets)


def scores(
    member: Member, images: Float[np.ndarray, 'n h w c'], targets: Int[np.ndarray, ' n']
) -> Float[np.ndarray, ' n']:
    """`score` of one batch."""
    return compiled(_score, member.model, member.preprocess)(member.variables, images, targets)


def _score(model: nn.Module, preprocess: Preprocess) -> Callable[..., Any]:
    return functools.partial(score, model, preprocess)


@functools.lru_cache(maxsize=16)
def compiled(make: Callable[..., Any], *static: Any) -> Any:
    """The compiled `make(*static)`, made once."""
    return runtime.jit(make(*static))


def in_batches(
    member: Member, program: Callable[..., Any], *arrays: np.ndarray
) -> Float[np.ndarray, 'n ...']:
    """`program` of the rows of `arrays`, in batches of one shape, the last one filled up."""
    count, shape = len(arrays[0]), member.preprocess
    size = min(BATCH, max(1, PIXELS // (shape.height * shape.width)), count)
    parts = []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        parts.append(np.asarray(program(*(array[rows] for array in arrays)), np.float32))
    return np.concatenate(parts)[:count]


def tapped(
    model: nn.Module, wanted: Callable[[nn.Module, Any], bool], taps: dict[Path, Array]
) -> Callable[..., tuple[Float[Array, 'b k'], dict[Path, Array]]]:
    """`apply(variables, images) -> (logits, outputs)` of the modules that `wanted` chooses.

    It is asked for every module, of the module and its output. To the outputs at the paths in
    `taps` those are added: gradients with respect to zeros there are gradients of the outputs.
    """

    def apply(variables: Any, images: Images) -> tuple[Float[Array, 'b k'], dict[Path, Array]]:
        seen: dict[Path, Array] = {}

        def watch(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
            output = call(*args, **kwargs)
            if context.method_name == '__call__' and wanted(context.module, output):
                path = context.module.path
                seen[path] = output = output + taps.get(path, 0)
            return output

        with nn.intercept_methods(watch):
            logits: Any = model.apply(variables, images, train=False)
        return logits, seen

    return apply


def resized(
    maps: Float[np.ndarray, 'n a b'], height: int, width: int
) -> Float[np.ndarray, 'n height width']:
    """Maps of another size, bilinear."""
    return np.asarray(jax.image.resize(maps, (len(maps), height, width), 'linear'))
