"""Monte Carlo dropout: a model's dropout left on, so that it disagrees with itself.

Gal & Ghahramani 2016 (arXiv:1506.02142). BatchNorm keeps its running statistics, which a model
called with `train=True` would not.
"""

import zlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key, UInt8

from pneumo_jax import runtime
from pneumo_jax.augment import views
from pneumo_jax.trained import Member
from pneumo_jax.training import steps


def has_dropout(member: Member) -> bool:
    """Whether the model has anything to leave on."""
    return any(getattr(member.model, name, 0) > 0 for name in ('dropout', 'drop_path'))


def make_predict(
    member: Member,
) -> Callable[[tuple[Any, Key[Array, '']], UInt8[Array, 'b h w c']], Float[Array, 'b k']]:
    """The compiled `predict((variables, key), images) -> logits` with dropout and drop path on.

    A key drops the same units of every batch, and other keys others.
    """
    pure = steps.make_predict(member.model, member.preprocess, views.create(member.views))

    def predict(given: tuple[Any, Key[Array, '']], images: UInt8[Array, 'b h w c']) -> Any:
        variables, key = given
        with nn.intercept_methods(_dropping(key)):
            return pure(variables, images)

    return runtime.jit(predict, out_shardings=runtime.replicated(runtime.mesh()))


def keys(seed: int, count: int) -> list[Key[Array, '']]:
    """The keys of so many samples."""
    first = runtime.key(seed, 'mc dropout')
    return [jax.random.fold_in(first, number) for number in range(count)]


def _dropping(key: Key[Array, '']) -> Callable[..., Any]:
    """What takes the place of every call of a flax module: of `nn.Dropout`, one that drops."""

    def call(following: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        layer = context.module
        if not isinstance(layer, nn.Dropout) or not layer.deterministic:
            return following(*args, **kwargs)
        own = jax.random.fold_in(key, zlib.crc32('/'.join(layer.path).encode()))
        return layer.clone(deterministic=False, parent=None).apply({}, *args, rngs={'dropout': own})

    return call
