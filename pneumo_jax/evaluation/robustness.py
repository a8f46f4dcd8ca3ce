"""How much worse a run is on corrupted images: PneumoniaMNIST-C.

Di Salvo et al. 2024, MedMNIST-C (arXiv:2406.17536). The balanced error is one less the mean recall
over classes; the relative one is what it grew by, against the clean images.
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from tqdm import tqdm

from pneumo_jax import files, runtime
from pneumo_jax.augment import corruptions
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.evaluation import metrics, robustness_report, scoring, statistics
from pneumo_jax.trained import Trained

SEED = 0  # of the noise and of the resamples
RESAMPLES = 2000
BATCH = 128
# The balanced errors of AlexNet at 224 px on PneumoniaMNIST-C, means over severities: medmnistc
# 0.1.0, utils/baselines.py.
ALEXNET_CLEAN = 0.10085470085470083
ALEXNET = {
    'pixelate': 0.22102564102564104,
    'jpeg_compression': 0.2798290598290598,
    'gaussian_noise': 0.4414529914529915,
    'speckle_noise': 0.3457264957264957,
    'impulse_noise': 0.4581196581196581,
    'shot_noise': 0.4106837606837607,
    'gaussian_blur': 0.2730769230769231,
    'brightness_up': 0.14649572649572645,
    'brightness_down': 0.2782051282051282,
    'contrast_up': 0.09529914529914527,
    'contrast_down': 0.23743589743589744,
    'gamma_corr_up': 0.09606837606837607,
    'gamma_corr_down': 0.16641025641025642,
}

Found = dict[str, Any]


def evaluate(loaded: Trained, dataset: Dataset, out: pathlib.Path) -> Found:
    """Score the test images under every corruption and severity.

    Leaves corruptions.json, corruptions.md and corruptions.png in `out`. Raises UserError where
    `out` cannot be written to.
    """
    with files.filled(out):
        clean, corrupted = errors_of(loaded, dataset.test)
        found = summary(clean, corrupted, dataset.test.labels)
        found = {'run': loaded.title, 'data': dataset.title, 'images': len(dataset.test), **found}
        if dataset.flag == 'pneumoniamnist':
            found['against_alexnet'] = against_alexnet(found)
        robustness_report.draw(found, out / 'corruptions.png')
        text = robustness_report.markdown(found)
        files.write_text(out / 'corruptions.md', text)
        files.write_json(out / 'corruptions.json', found)
    return found


def errors_of(
    loaded: Trained, split: Split
) -> tuple[Float[np.ndarray, ' n'], dict[str, Float[np.ndarray, 's n']]]:
    """(which clean images are decided wrongly, the same under every corruption and severity)."""
    mesh, images = runtime.mesh(), split.images
    batches = list(scoring.batches(images, min(BATCH, len(images)), mesh))

    def wrong(batches: list[Array]) -> Float[np.ndarray, ' n']:
        each = [
            scoring.logits(member.predict, member.variables, batches, len(images))
            for member in loaded.members
        ]
        decided = metrics.softmax(metrics.ensemble(np.stack(each))).argmax(1)
        return (decided != split.labels).astype(np.float64)

    severities = corruptions.SEVERITIES
    found: dict[str, list[Any]] = {name: [] for name in corruptions.CORRUPTIONS}
    changes = {name: runtime.jit(functools.partial(changed, name)) for name in found}
    kinds = [(name, severity) for name in found for severity in severities]
    for name, severity in tqdm(kinds, desc='corruptions', disable=None, leave=False):
        change = changes[name]
        found[name].append(wrong([change(severity, batch, i) for i, batch in enumerate(batches)]))
    return wrong(batches), {name: np.stack(rows) for name, rows in found.items()}


def changed(
    name: str, severity: Int[Array, ''], images: UInt8[Array, 'b h w c'], number: Int[Array, '']
) -> UInt8[Array, 'b h w c']:
    """One batch under one corruption; an image's noise depends on its place in the split alone."""
    key = jax.random.key(SEED, impl='threefry2x32')
    places = number * images.shape[0] + jnp.arange(images.shape[0])
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, places)
    change = jax.vmap(corruptions.CORRUPTIONS[name], (0, 0, None))
    return jnp.rint(255 * change(keys, images / jnp.float32(255), severity)).astype(jnp.uint8)


def summary(
    clean: Float[np.ndarray, ' n'],
    corrupted: Mapping[str, Float[np.ndarray, 's n']],
    labels: Int[np.ndarray, ' n'],
) -> Found:
    """Balanced errors, and their growth, with 95 % intervals.

    Intervals are percentiles over resamples of each class's images; a corrupted image stays with
    its clean one.
    """
    classes, counts = np.unique(labels, return_counts=True)
    rng = np.random.default_rng(SEED)
    weights = np.zeros((RESAMPLES, len(labels)))
    for label, count in zip(classes, counts, strict=True):
        drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
        weights[:, labels == label] = drawn / (count * len(classes))
    plain = 1 / (counts * len(classes))
    balance = plain[np.searchsorted(classes, labels)]

    def estimate(wrong: Float[np.ndarray, ' n']) -> list[float]:
        low, high = np.percentile(weights @ wrong, statistics.LEVEL)
        return [float(balance @ wrong), float(low), float(high)]

    rows = {
        name: {
            'severities': (wrong @ balance).tolist(),
            'mean': estimate(wrong.mean(0)),
            'relative': estimate(wrong.mean(0) - clean),
        }
        for name, wrong in corrupted.items()
    }
    every = np.mean([wrong.mean(0) for wrong in corrupted.values()], 0)
    return {
        'clean': estimate(clean),
        'mean': estimate(every),
        'relative': estimate(every - clean),
        'corruptions': rows,
    }


def against_alexnet(found: Found) -> Found:
    """The paper's BE and rBE: the error, and its growth, over those of AlexNet; and their means.

    rBE is None where AlexNet's own error did not grow, and is not in the mean: a ratio to what is
    nearly zero says nothing.
    """
    clean, rows = found['clean'][0], found['corruptions']
    be = {name: rows[name]['mean'][0] / error for name, error in ALEXNET.items()}
    rbe = {
        name: (rows[name]['mean'][0] - clean) / (error - ALEXNET_CLEAN)
        if error > ALEXNET_CLEAN
        else None
        for name, error in ALEXNET.items()
    }
    defined = [value for value in rbe.values() if value is not None]
    return {
        'be': be,
        'rbe': rbe,
        'mean_be': float(np.mean(list(be.values()))),
        'mean_rbe': float(np.mean(defined)),
    }
