"""Grad-CAM."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from pneumo_jax import errors
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.explain import programs
from pneumo_jax.trained import Member

SMALLEST = 4  # points a side: the last map of ResNet-18 at 28 px is a single one


def gradcam(
    member: Member, images: UInt8[np.ndarray, 'n h w c'], targets: Int[np.ndarray, ' n']
) -> Float[np.ndarray, 'n h w']:
    """The last map's channels, weighted by the mean gradient of the target's log-odds.

    Selvaraju et al. 2017 (arXiv:1610.02391). The last map is the last one of at least `SMALLEST`
    points a side: at 224 px that of the paper, at 28 px an earlier one where the net halves often.
    """
    path = layer(member)
    program = programs.compiled(_program, member.model, member.preprocess, path)
    unit = member.preprocess.unit(images)
    maps = programs.in_batches(
        member, lambda images, targets: program(member.variables, images, targets), unit, targets
    )
    return programs.resized(np.maximum(maps, 0), *images.shape[1:3])


def layer(member: Member) -> programs.Path:
    """The path of the module whose output is that map; UserError where none is large enough."""
    paths: list[programs.Path] = []

    def note(module: nn.Module, output: Any) -> bool:
        if getattr(output, 'ndim', 0) == 4 and min(output.shape[1:3]) >= SMALLEST:
            paths.append(module.path)
        return False

    blank = jax.ShapeDtypeStruct((1, *member.preprocess.fed_shape), jnp.float32)
    jax.eval_shape(programs.tapped(member.model, note, {}), member.variables, blank)
    if not paths:
        raise errors.UserError(
            f'gradcam: {member.model.__class__.__name__} has no map of {SMALLEST} x {SMALLEST} '
            'points at this size; use --method occlusion.'
        )
    return paths[-1]


def _program(model: nn.Module, preprocess: Preprocess, path: programs.Path) -> Callable[..., Any]:
    def cam(variables: Any, images: Any, targets: Any) -> Any:
        def wanted(module: nn.Module, output: Any) -> bool:
            return module.path == path

        def total(tap: Any) -> Any:
            apply = programs.tapped(model, wanted, {path: tap})
            logits, seen = apply(variables, preprocess.normalise(images))
            return programs.log_odds(logits, targets).sum(), seen[path]

        shapes = jax.eval_shape(lambda: total(0))[1]
        gradient, maps = jax.grad(total, has_aux=True)(jnp.zeros(shapes.shape, shapes.dtype))
        return (maps * gradient.mean((1, 2), keepdims=True)).sum(-1)

    return cam
