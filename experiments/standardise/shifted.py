"""AUROC on val under every corruption, of the nets that this study and experiments/resplit train.

    python -m pneumo_jax sweep experiments/resplit
    python -m pneumo_jax sweep experiments/standardise
    python experiments/standardise/shifted.py

Only val images are scored. It reads the weights that the sweeps leave in runs/, and takes a
minute of 2 cores a net.
"""

import functools
import pathlib
import statistics
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from pneumo_jax import doors, errors, runtime, trained
from pneumo_jax.augment import corruptions
from pneumo_jax.evaluation import gather, metrics
from pneumo_jax.sweep import study, table

HERE = pathlib.Path(__file__).parent
RUNS = HERE.parent.parent / 'runs'
STUDIES = (HERE.name, 'resplit')  # whose run folders are looked into
Images = UInt8[np.ndarray, 'n h w c']


def main() -> None:
    """Write `results/shifted.md` and put it into this folder's README."""
    runtime.start()
    runs = {run.row: _folder(run.name) for run in study.runs(study.read(HERE))}
    recipes, _, splits = (
        dict.fromkeys(part) for part in zip(*(row.rpartition(', ') for row in runs), strict=True)
    )
    splits = [split for split in splits if all(runs[f'{one}, {split}'] for one in recipes)]
    if not splits:
        raise errors.UserError(f'no split is complete: run the sweeps of {" and ".join(STUDIES)}.')
    folders = {row: runs[row] for row in runs if row.rpartition(', ')[2] in splits}
    found = {row: by_corruption(folder) for row, folder in tqdm(folders.items(), unit='net')}
    scores = np.array([[found[f'{one}, {split}'] for one in recipes] for split in splits])
    rows = {
        **dict(zip(splits, scores.mean(2), strict=True)),
        '**mean**': scores.mean((0, 2)),
        **dict(zip(corruptions.CORRUPTIONS, scores.mean(0).T, strict=True)),
    }
    heads = ['AUROC on corrupted val', *(f'`{recipe}`' for recipe in recipes)]
    body = [[name, *(f'{score:.4f}' for score in each)] for name, each in rows.items()]
    table.publish(table.lines(heads, body), HERE / 'results' / 'shifted.md', HERE / 'README.md')


def by_corruption(folder: pathlib.Path) -> list[float]:
    """A run's AUROC on val under each corruption, means over the severities."""
    net = trained.load(folder)
    val = gather.own_data(net).val
    return [
        statistics.fmean(
            metrics.classification(net.logits(images), val.labels)['auroc']
            for images in _corrupted(val.images, name)
        )
        for name in corruptions.CORRUPTIONS
    ]


def _folder(name: str) -> pathlib.Path | None:
    """Where a run is finished, if it is."""
    places = (RUNS / of / name for of in STUDIES)
    return next((place for place in places if (place / 'results.json').exists()), None)


def _corrupted(images: Images, name: str) -> Iterator[Images]:
    """The images at every severity; what is drawn for one depends on that and its place alone."""
    for severity in corruptions.SEVERITIES:
        key = jax.random.key(severity, impl='threefry2x32')
        keys, levels = jax.random.split(key, len(images)), jnp.full(len(images), severity)
        changed = _program(name)(keys, images / np.float32(255), levels)
        yield np.rint(255 * np.asarray(changed)).astype(np.uint8)


@functools.cache
def _program(name: str) -> Any:
    return jax.jit(jax.vmap(corruptions.CORRUPTIONS[name]))


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
