"""Which views of an image are worth their time, for the nets that this study has trained.

    python -m pneumo_jax sweep experiments/capacity
    python experiments/capacity/views.py

Only val images are scored, those of the split without shared patients, as they are and shifted by
known corruptions. It reads the weights that the sweep leaves in runs/capacity.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
from ml_collections import ConfigDict

from pneumo_jax import data, doors, errors, files, trained
from pneumo_jax.augment import corruptions
from pneumo_jax.data.dataset import Split
from pneumo_jax.evaluation import metrics
from pneumo_jax.sweep import study, table

HERE = pathlib.Path(__file__).parent
RUNS = HERE.parent.parent / 'runs' / HERE.name
NAMES = {'': 'none', 'flip': 'mirror image', 'flip_crop': 'mirror image and crops'}
HEADS = ('row', 'views', 'val AUROC', 'corrupted val AUROC', 'corrupted val loss')


def main() -> None:
    """Write `results/views.md` and put it into this folder's README."""
    text = table.lines(HEADS, list(lines()))
    files.write_text(HERE / 'results' / 'views.md', text)
    table.place(text, 'views', HERE / 'README.md')
    print(text)


def lines() -> Iterator[list[str]]:
    """For every row and kind of views, mean and spread over the seeds."""
    mine = study.read(HERE)
    runs = study.runs(mine)
    missing = [run.name for run in runs if not (RUNS / run.name / 'results.json').exists()]
    if missing:
        raise errors.UserError(f'not trained: {", ".join(missing)}. Run the sweep first.')
    own = trained.load(RUNS / runs[0].name).records[0]['config']['data']
    val = data.load(**ConfigDict(own)).val
    shifted = dataclasses.replace(val, images=corruptions.corrupted(val.images, seed=0))
    for row in mine.rows:
        nets = [trained.load(RUNS / run.name) for run in runs if run.row == row]
        for views, name in NAMES.items():
            plain, hard = ([scores(net, views, of) for net in nets] for of in (val, shifted))
            found = [('auroc', plain, 4), ('auroc', hard, 4), ('loss', hard, 4)]
            cells = [table.spread(np.array([s[m] for s in of]), n) for m, of, n in found]
            yield [f'`{row}`', name, *cells]


def scores(net: trained.Trained, views: str, split: Split) -> metrics.Scores:
    """Of the one model in `net`, with other views than it was scored with."""
    member = dataclasses.replace(net.members[0], views=views)
    logits = dataclasses.replace(net, members=(member,)).logits(split.images)
    return metrics.classification(logits, split.labels)


if __name__ == '__main__':
    sys.exit(doors.enter(lambda _: main(), []))
