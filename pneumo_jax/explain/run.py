"""Explanations of images by finished runs, as files."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from tqdm import tqdm

from pneumo_jax import errors, explain, files, markdown
from pneumo_jax.evaluation import metrics, statistics
from pneumo_jax.explain import drawing, faithfulness
from pneumo_jax.trained import Trained

Images = UInt8[np.ndarray, 'n h w c']
Targets = Int[np.ndarray, ' n']
Maps = Float[np.ndarray, 'n h w']

SEED = 0  # of the resamples and of the random maps
RESAMPLES = 2000


def methods(loaded: Trained) -> tuple[str, ...]:
    """The methods that every member of a run has."""
    each = [explain.allowed(explain.name_of(member)) for member in loaded.members]
    return tuple(name for name in each[0] if all(name in own for own in each))


def targets(
    loaded: Trained, probabilities: Float[np.ndarray, 'n k'], wanted: str | None
) -> Targets:
    """The class to explain for every image: the wanted one, or else the most probable.

    Raises UserError where the run does not know the wanted one.
    """
    if wanted is None:
        return probabilities.argmax(1)
    if wanted not in loaded.classes:
        raise errors.unknown('class', wanted, loaded.classes)
    return np.full(len(probabilities), loaded.classes.index(wanted))


def maps(loaded: Trained, images: Images, target: Targets, method: str) -> Maps:
    """The mean of the members' maps."""
    each = loaded.members
    if len(each) > 1:
        each = tqdm(each, desc=method, unit='model', disable=None, leave=False)
    return np.mean([explain.heatmap(member, images, target, method) for member in each], 0)


def draw(
    loaded: Trained,
    images: Images,
    names: Sequence[str],
    method: str,
    wanted: str | None,
    out: pathlib.Path,
) -> list[pathlib.Path]:
    """A figure for every image, and one of all of them where there are several; their paths.

    Raises UserError for a class that the run does not know, and where `out` cannot be written to.
    """
    probabilities = metrics.softmax(loaded.logits(images))
    target = targets(loaded, probabilities, wanted)
    heats = maps(loaded, images, target, method)
    titles = [
        f'{name}: P({loaded.classes[k]}) = {row[k]:.3f}'
        for name, row, k in zip(names, probabilities, target, strict=True)
    ]
    paths = [out / f'{name}_{method}.png' for name in names]
    sheet = 'contact_sheet'
    while sheet in names:  # an image is called so
        sheet += '_of_all'
    with files.filled(out):
        for image, heat, title, path in zip(images, heats, titles, paths, strict=True):
            drawing.panel(image, heat, f'{title}, {method}', path)
        if len(images) > 1:
            paths.append(out / f'{sheet}_{method}.png')
            drawing.sheet(images, heats, titles, f'{loaded.title}, {method}', paths[-1])
    return paths


def compare(
    loaded: Trained, images: Images, wanted: str | None, out: pathlib.Path
) -> dict[str, Any]:
    """Deletion and insertion of every method and of random maps: means with 95 % intervals.

    Intervals are percentiles over resampled images. They are left in `out`/faithfulness.json.
    """
    target = targets(loaded, metrics.softmax(loaded.logits(images)), wanted)
    shape = (len(images), *images.shape[1:3])
    given: Mapping[str, Maps] = {
        **{name: maps(loaded, images, target, name) for name in methods(loaded)},
        **faithfulness.random_maps(shape, SEED),
    }
    bar = tqdm(given.items(), desc='deletion and insertion', disable=None, leave=False)
    found = {name: dict(_areas(loaded, images, target, heats)) for name, heats in bar}
    result = {'run': loaded.title, 'images': len(images), 'methods': found}
    with files.filled(out):
        files.write_json(out / 'faithfulness.json', result)
    return result


def _areas(
    loaded: Trained, images: Images, target: Targets, heats: Maps
) -> Iterator[tuple[str, list[float]]]:
    each = [faithfulness.areas(member, images, target, heats) for member in loaded.members]
    for name, areas in zip(('deletion', 'insertion'), np.mean(each, 0), strict=True):
        drawn = np.random.default_rng(SEED).integers(len(areas), size=(RESAMPLES, len(areas)))
        low, high = np.percentile(areas[drawn].mean(1), statistics.LEVEL)
        yield name, [float(areas.mean()), float(low), float(high)]


def table(result: dict[str, Any]) -> str:
    """`compare`'s result as Markdown."""
    rows = [
        [name, *(f'{mean:.3f} [{low:.3f}, {high:.3f}]' for mean, low, high in areas.values())]
        for name, areas in result['methods'].items()
    ]
    return (
        f'Deletion (lower is better) and insertion (higher), {result["run"]}, '
        f'{result["images"]} images; mean [95 % interval over images]\n\n'
        + markdown.table(('method', 'deletion', 'insertion'), rows)
    )
