"""What the class token of a Vision Transformer looks at."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.explain import programs
from pneumo_jax.models.vit import Softmax
from pneumo_jax.trained import Member

Weights = Float[Array, 'b h t t']
Flow = Float[Array, '*b t t']


def rollout(
    member: Member, images: UInt8[np.ndarray, 'n h w c'], targets: Int[np.ndarray, ' n']
) -> Float[np.ndarray, 'n h w']:
    """Attention rollout (Abnar & Zuidema 2020, arXiv:2005.00928); the same for every target.

    The product over the blocks of the heads' mean attention, half of it being the residual sum.
    """
    return _maps(_rollout, member, images, targets)


def relevance(
    member: Member, images: UInt8[np.ndarray, 'n h w c'], targets: Int[np.ndarray, ' n']
) -> Float[np.ndarray, 'n h w']:
    """Relevance of Chefer et al. 2021 (ICCV, arXiv:2103.15679, eq. 5 and 6).

    As rollout, with every attention weight times the gradient of the target's log-odds with
    respect to it, where that is positive.
    """
    return _maps(_relevance, member, images, targets)


def _maps(
    way: Callable[[Weights, Weights, Flow], Flow],
    member: Member,
    images: UInt8[np.ndarray, 'n h w c'],
    targets: Int[np.ndarray, ' n'],
) -> Float[np.ndarray, 'n h w']:
    program = programs.compiled(_program, member.model, member.preprocess, way)
    unit = member.preprocess.unit(images)
    tokens = programs.in_batches(
        member, lambda images, targets: program(member.variables, images, targets), unit, targets
    )
    height, width = images.shape[1:3]
    patch = member.model.patch
    rows, columns = -(-height // patch), -(-width // patch)
    # All tokens get something; what a map shows is where there is more than the least.
    grid = (tokens - tokens.min(1, keepdims=True)).reshape(-1, rows, columns)
    return programs.resized(grid, rows * patch, columns * patch)[:, :height, :width]


def _program(model: nn.Module, preprocess: Preprocess, way: Any) -> Callable[..., Any]:
    def wanted(module: nn.Module, output: Any) -> bool:
        return isinstance(module, Softmax)

    def tokens(variables: Any, images: Any, targets: Any) -> Any:
        def total(taps: Any) -> Any:
            apply = programs.tapped(model, wanted, taps)
            logits, seen = apply(variables, preprocess.normalise(images))
            return programs.log_odds(logits, targets).sum(), seen

        shapes = jax.eval_shape(lambda: total({}))[1]
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        gradients, weights = jax.grad(total, has_aux=True)(zeros)
        # In the order of the blocks, which a pytree's sorted keys are not.
        blocks = sorted(weights, key=lambda path: int(path[0].removeprefix('blocks_')))
        flow = jnp.eye(weights[blocks[0]].shape[-1])
        for block in blocks:
            flow = way(weights[block], gradients[block], flow)
        return flow[:, 0, 1:]

    return tokens


def _rollout(weights: Weights, gradients: Weights, flow: Flow) -> Flow:
    return 0.5 * (weights.mean(1) @ flow + flow)


def _relevance(weights: Weights, gradients: Weights, flow: Flow) -> Flow:
    return flow + jnp.maximum(weights * gradients, 0).mean(1) @ flow
