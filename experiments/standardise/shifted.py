"""AUROC on val under every corruption, of the nets that this study and experiments/resplit train.

    python -m pneumo_jax sweep experiments/resplit --retrain
    python -m pneumo_jax sweep experiments/standardise --retrain
    python experiments/standardise/shifted.py

Only val images are scored. It reads the weights that the sweeps leave in runs/, and takes a
minute of 2 cores a net.
"""

import functools
import pathlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from tqdm import tqdm

from pneumo_jax import doors, errors, markdown, runtime, trained
from pneumo_jax.augment import corruptions
from pneumo_jax.evaluation import gather, metrics, robustness
from pneumo_jax.sweep import study, table

HERE = pathlib.Path(__file__).parent
RUNS = HERE.parent.parent / 'runs'
STUDIES = (HERE.name, 'resplit')  # whose run folders are looked into
Images = UInt8[np.ndarray, 'n h w c']


def main() -> None:
    """Write `results/shifted.md` and put it into this folder's README."""
    runtime.start()
    by_split: dict[str, dict[str, pathlib.Path | None]] = defaultdict(dict)
    for run in study.runs(study.read(HERE)):
        recipe, _, split = run.row.rpartition(', ')
        by_split[split][recipe] = _folder(run.name)
    recipes = list(next(iter(by_split.values())))
    whole = {split: [*filter(None, of.values())] for split, of in by_split.items()}
    whole = {split: of for split, of in whole.items() if len(of) == len(recipes)}
    if not whole:
        names = ' and '.join(STUDIES)
        raise errors.UserError(f'no split is complete: sweep {names} with --retrain.')
    scores = np.array([by_corruption(of) for of in tqdm(whole.values(), unit='split')])
    rows = {
        **dict(zip(whole, scores.mean(1), strict=True)),
        '**mean**': scores.mean((0, 1)),
        **dict(zip(corruptions.CORRUPTIONS, scores.mean(0), strict=True)),
    }
    heads = ['AUROC on corrupted val', *(f'`{recipe}`' for recipe in recipes)]
    body = [[name, *(f'{score:.4f}' for score in each)] for name, each in rows.items()]
    table.publish(markdown.table(heads, body), HERE / 'results' / 'shifted.md', HERE / 'README.md')


def by_corruption(folders: Sequence[pathlib.Path]) -> Float[np.ndarray, 'kinds nets']:
    """The AUROC of runs with one val split under each corruption, means over the severities."""
    nets = [trained.load(folder) for folder in folders]
    val = gather.own_data(nets[0]).val

    def scored(images: Images) -> list[float]:
        return [metrics.classification(net.logits(images), val.labels)['auroc'] for net in nets]

    return np.array(
        [
            np.mean([scored(images) for images in corrupted(val.images, name)], 0)
            for name in corruptions.CORRUPTIONS
        ]
    )


def corrupted(images: Images, name: str) -> Iterator[Images]:
    """The images under a corruption, at every severity."""
    change = runtime.jit(functools.partial(robustness.changed, name))
    for severity in corruptions.SEVERITIES:
        yield np.asarray(change(severity, images, 0))


def _folder(name: str) -> pathlib.Path | None:
    """Where a run is finished, if it is."""
    places = (RUNS / of / name for of in STUDIES)
    return next((place for place in places if (place / 'results.json').exists()), None)


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
