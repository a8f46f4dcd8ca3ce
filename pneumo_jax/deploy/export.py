"""A finished run as files that other programs load: StableHLO, ONNX and safetensors.

The first two map raw uint8 images to probabilities, with preprocessing, views, and the members'
mean in them. Each file is loaded again and compared with the run before it gets its name.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from tqdm import tqdm

from pneumo_jax import data, errors, files, runtime, weights
from pneumo_jax.augment import views
from pneumo_jax.deploy import export_onnx, staging
from pneumo_jax.evaluation import metrics
from pneumo_jax.trained import Trained
from pneumo_jax.training import steps, workdir

Images = UInt8[np.ndarray, 'n h w c']
Probabilities = Float[np.ndarray, 'n k']

PLATFORMS = ('cpu', 'cuda')  # of the StableHLO
CHECKED = 32  # images
# The largest difference of a probability that is let pass. What is exported computes in float32.
LIMITS = {'float32': 1e-4, 'bfloat16': 2e-2}


def export(loaded: Trained, formats: Sequence[str], out: pathlib.Path) -> dict[str, Any]:
    """Write every format, an example that uses it, and `export.json`, and return what that says.

    Raises:
        UserError: an unknown format, one whose packages are not installed, a folder that holds a
            run or cannot be written to, or a file that does not agree with the run.
    """
    for name in formats:
        check(name)
    if any((out / name).exists() for name in (workdir.RUN, workdir.RESULTS)):
        raise errors.UserError(
            f'{out} holds a run, whose weights are called as an exported file; give another --out.'
        )
    images, which = _images(loaded)
    expected = metrics.softmax(loaded.logits(images))
    about = {**_about(loaded), 'checked_on': which, 'files': {}}
    try:
        with staging.staged(out) as stage:
            for kind in tqdm(formats, desc='export', disable=None, leave=False):
                write, examples = FORMATS[kind]
                about['files'] |= write(loaded, stage, images, expected)
                for example in examples:
                    shutil.copyfile(staging.CONSUMERS / example, stage / example)
            files.write_json(stage / staging.ABOUT, about)
    except OSError as error:
        raise errors.UserError(
            f'cannot write to {out} ({error.strerror}); give another --out.'
        ) from error
    return about


def available() -> tuple[str, ...]:
    """The formats whose packages are installed."""
    return tuple(name for name in FORMATS if name != 'onnx' or export_onnx.installed())


def check(name: str) -> None:
    """Refuse a format that is not there, or whose packages are not (`UserError`)."""
    if name not in FORMATS:
        raise errors.unknown('format', name, FORMATS)
    if name not in available():
        raise errors.UserError(f'--format {name}: {export_onnx.MISSING}')


def program(loaded: Trained) -> Callable[[UInt8[Array, 'b h w c']], Float[Array, 'b k']]:
    """`probabilities(images)` of raw images, computed in float32, with all weights in it."""
    members = [
        (
            member.variables,
            steps.make_predict(
                member.model.clone(dtype=jnp.float32),
                member.preprocess,
                views.create(member.views),
            ),
        )
        for member in loaded.members
    ]

    def probabilities(images: UInt8[Array, 'b h w c']) -> Float[Array, 'b k']:
        each = [jax.nn.softmax(predict(variables, images)) for variables, predict in members]
        return jnp.stack(each).mean(0)

    return probabilities


def _stablehlo(
    loaded: Trained, out: pathlib.Path, images: Images, expected: Probabilities
) -> dict[str, Any]:
    from jax import export as jax_export

    shape = jax_export.symbolic_shape('b, ...', like=images.shape)
    batch = jax.ShapeDtypeStruct(shape, jnp.uint8)
    exported = jax_export.export(jax.jit(program(loaded)), platforms=PLATFORMS)(batch)
    path = out / 'model.stablehlo'
    path.write_bytes(exported.serialize())
    again = jax_export.deserialize(bytearray(path.read_bytes()))
    found = np.asarray(runtime.jit(again.call)(images))
    difference = _agreement(loaded, path, found, expected)
    return {path.name: {'largest_difference': difference, 'platforms': list(exported.platforms)}}


def _onnx(
    loaded: Trained, out: pathlib.Path, images: Images, expected: Probabilities
) -> dict[str, Any]:
    path = out / 'model.onnx'
    export_onnx.write(program(loaded), images.shape[1:], _about(loaded), path)
    difference = _agreement(loaded, path, export_onnx.run(path, images), expected)
    return {path.name: {'largest_difference': difference, 'opset': export_onnx.OPSET}}


def _safetensors(
    loaded: Trained, out: pathlib.Path, images: Images, expected: Probabilities
) -> dict[str, Any]:
    """A file for every member."""
    owners = [record for record in loaded.records for _ in range(record['config']['seeds'])]
    about = _about(loaded)
    written = {}
    for i, (member, owner) in enumerate(zip(loaded.members, owners, strict=True)):
        path = out / (f'model-{i}.safetensors' if len(owners) > 1 else 'model.safetensors')
        meta = {'model': owner['config']['model'], 'views': member.views}
        weights.save(path, member.variables, {**about, **meta})
        again, _ = weights.load(path)
        jax.tree.map(np.testing.assert_array_equal, again, member.variables)
        written[path.name] = {'largest_difference': 0.0}
    return written


# What writes a format, and the example that uses it, with what that imports.
FORMATS: dict[str, tuple[Callable[..., dict[str, Any]], tuple[str, ...]]] = {
    'stablehlo': (_stablehlo, ('use_stablehlo.py', 'read_images.py')),
    'onnx': (_onnx, ('use_onnx.py', 'read_images.py')),
    'safetensors': (_safetensors, ('use_weights.py',)),
}


def _agreement(
    loaded: Trained, path: pathlib.Path, found: Probabilities, expected: Probabilities
) -> float:
    """The largest difference of a probability; UserError where it is above the limit."""
    limit = max(LIMITS[record['config']['model']['dtype']] for record in loaded.records)
    difference = float(abs(found - expected).max())
    if not difference <= limit:
        raise errors.UserError(
            f'{path.name} was not written: its probabilities differ from those of the run by '
            f'{difference:.1e}, and {limit:.0e} is allowed.'
        )
    return difference


def _about(loaded: Trained) -> dict[str, Any]:
    return {
        'title': loaded.title,
        'classes': list(loaded.classes),
        'preprocess': dataclasses.asdict(loaded.preprocess),
        'origin': [record['origin'] for record in loaded.records],
    }


def _images(loaded: Trained) -> tuple[Images, str]:
    """Images to check with, and what they are: those of the val split, where it can be read."""
    try:
        dataset = data.load(**loaded.records[0]['config']['data'])
        images = dataset.val.images[:CHECKED]
        return images, f'{len(images)} val images of {dataset.title}'
    except errors.UserError:
        shape = (CHECKED, *loaded.preprocess.image_shape)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        return noise, f"{CHECKED} images of noise, for the run's data cannot be read"
