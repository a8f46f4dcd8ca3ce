"""What val says of the recipes once its images are framed otherwise.

    python -m pneumo_jax sweep experiments/recipe
    python -m pneumo_jax sweep experiments/protocol
    python experiments/protocol/reframed.py
    python experiments/protocol/agreement.py

Every val image is cropped anew, several times, to a random share of its area, and scored as it is
and shifted by known corruptions. Only val images are scored. It reads the weights that the sweeps
leave in runs/, and takes some 10 minutes of 2 cores; the last command compares what it says with
the scores on test.
"""

import csv
import io
import pathlib
import sys
from collections import defaultdict
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from pneumo_jax import doors, errors, files, runtime, trained
from pneumo_jax.augment import corruptions, geometry
from pneumo_jax.evaluation import gather, metrics
from pneumo_jax.sweep import study

HERE = pathlib.Path(__file__).parent
RUNS = HERE.parent.parent / 'runs'
STUDIES = ('recipe', HERE.name)  # whose run folders are looked into
SHARES = (0.5, 0.25)  # the least part of an image's area that is kept
FRAMES = 8  # of every image
SCORES = ('auroc', 'loss')
Images = UInt8[np.ndarray, 'n h w c']


def main() -> None:
    """Write `results/reframed.csv`."""
    runtime.start()
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(('row', 'signal', *SCORES))
    table.writerows(lines())
    files.write_text(HERE / 'results' / 'reframed.csv', text.getvalue())


def lines() -> Iterator[list[str]]:
    """For every row and signal the scores on val, means over seeds and frames."""
    places, by_row = folders(), defaultdict(list)
    for run in study.runs(study.read(HERE)):
        by_row[run.row].append(places[run.seed, run.digest])
    for row, of in tqdm(by_row.items(), unit='row'):
        nets = trained.load(*of)
        val = gather.own_data(nets).val
        for signal, images in signals(val.images):
            each = [
                metrics.classification(one, val.labels)
                for seen in images
                for one in nets.each(seen)
            ]
            yield [
                row,
                signal,
                *(f'{np.mean([one[score] for one in each]):.6f}' for score in SCORES),
            ]


def signals(images: Images) -> Iterator[tuple[str, Iterator[Images]]]:
    """The names of the ways to look at val, and the images as they are then seen."""
    for share in SHARES:
        how = f'{share:.0%} of the area or more'
        yield f'reframed val, {how}', frames(images, share)
        yield (
            f'reframed and corrupted val, {how}',
            (corruptions.corrupted(framed, seed=0) for framed in frames(images, share)),
        )


def frames(images: Images, share: float) -> Iterator[Images]:
    """`FRAMES` times all images, each with a crop of its own that keeps `share` of it or more."""
    crop = geometry.create(crop=share, flip=False, rotate=0.0, shear=0.0)
    change = runtime.jit(jax.vmap(crop))
    for number in range(FRAMES):
        keys = jax.random.split(runtime.key(number, 'reframed'), len(images))
        yield np.rint(np.asarray(change(keys, images / np.float32(255))) * 255).astype(np.uint8)


def folders() -> dict[tuple[int, str], pathlib.Path]:
    """Where each run of this study is finished, by its seed and config."""
    places = {
        (run.seed, run.digest): RUNS / of / run.name
        for of in STUDIES
        for run in study.runs(study.read(HERE.parent / of))
        if (RUNS / of / run.name / 'results.json').exists()
    }
    wanted = study.runs(study.read(HERE))
    missing = [run.name for run in wanted if (run.seed, run.digest) not in places]
    if missing:
        raise errors.UserError(f'not trained: {", ".join(missing)}. Run both sweeps first.')
    return places


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
