"""ONNX files by jax2onnx, read back by onnxruntime; both are in the extra `onnx`."""

import importlib.util
import json
import logging
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from pneumo_jax import forms

OPSET = 21  # onnxruntime 1.18 and later
MISSING = (
    "ONNX needs more packages: pip install 'pneumo_jax[onnx]', in a checkout uv sync --extra onnx."
)


def installed() -> bool:
    """Whether the packages of the extra are there."""
    return all(importlib.util.find_spec(name) for name in ('jax2onnx', 'onnx', 'onnxruntime'))


def write(
    probabilities: Callable[..., Any],
    image_shape: tuple[int, ...],
    about: dict[str, Any],
    path: pathlib.Path,
) -> None:
    """Write a function of uint8 images [b, h, w, c], b open, to `path`.

    Input and output are named 'images' and 'probabilities'; `about` becomes metadata, as JSON.
    """
    # For every one of its own plugins that does not fit this jax it logs a traceback.
    logging.getLogger('jax2onnx').setLevel(logging.CRITICAL)
    logging.getLogger('onnx_ir').setLevel(logging.CRITICAL)
    import onnx
    from jax2onnx import to_onnx

    # jax2onnx does not know the calls of functions within functions that jax has since 0.12.
    with jax.disable_jit(), forms.tracing_for(forms.CONVERSION), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = to_onnx(
            probabilities,
            [jax.ShapeDtypeStruct(('b', *image_shape), jnp.uint8)],
            model_name='pneumo_jax',
            opset=OPSET,
            input_names=['images'],
            output_names=['probabilities'],
        )
    _share(model.graph)
    onnx.helper.set_model_props(model, {name: json.dumps(about[name]) for name in about})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _share(graph: Any) -> None:
    """Keep one of equal constants: every view of an image has brought all weights of its own."""
    first: dict[bytes, str] = {}
    names: dict[str, str] = {}
    for tensor in list(graph.initializer):
        name, tensor.name = tensor.name, ''
        names[name] = first.setdefault(tensor.SerializeToString(), name)
        tensor.name = name
        if names[name] != name:
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def run(path: pathlib.Path, images: UInt8[np.ndarray, 'n h w c']) -> Float[np.ndarray, 'n k']:
    """What onnxruntime makes of `images` on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return np.asarray(session.run(['probabilities'], {'images': images})[0])
