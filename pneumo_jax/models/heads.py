"""The head of a model: its last layer, which maps the features of an image to logits."""

from typing import Any

from flax import linen as nn
from flax.core import FrozenDict
from jax import Array
from jaxtyping import Float

Variables = dict[str, Any]

# What the last layers are called; a model with `fc2` has an `fc1` before it.
HEADS = ('head', 'head_fc', 'classifier', 'fc', 'fc2')


def name(params: dict[str, Any] | FrozenDict[str, Any]) -> str:
    """The name of the head among a model's parameters: 'fc' of a ResNet, 'head' of a ViT."""
    (found,) = (name for name in HEADS if name in params)
    return found


def features(
    model: nn.Module, variables: Variables, images: Float[Array, 'b h w c']
) -> Float[Array, 'b d']:
    """What the head of `model` is given for normalised images, without dropout."""
    head, seen = name(variables['params']), []

    def watch(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        if context.method_name == '__call__' and context.module.path == (head,):
            seen.append(args[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(watch):
        model.apply(variables, images, train=False)
    return seen[0]
