"""Which views of an image are worth their time, for the nets that this study has trained.

    python -m pneumo_jax sweep experiments/capacity --retrain
    python experiments/capacity/views.py

Only val images are scored, those of the split without shared patients, as they are and shifted by
known corruptions. It reads the weights that the sweep leaves in runs/capacity, and takes some 5
minutes of 2 cores.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from pneumo_jax import doors, errors, markdown, runtime, trained
from pneumo_jax.augment import corruptions
from pneumo_jax.evaluation import gather, metrics
from pneumo_jax.sweep import study, table

HERE = pathlib.Path(__file__).parent
RUNS = HERE.parent.parent / 'runs' / HERE.name
NAMES = {'': 'none', 'flip': 'mirror image', 'flip_crop': 'mirror image and crops'}
HEADS = ('row', 'views', 'val AUROC', 'corrupted val AUROC', 'corrupted val loss')


def main() -> None:
    """Write `results/views.md` and put it into this folder's README."""
    runtime.start()
    text = markdown.table(HEADS, list(lines()))
    table.publish(text, HERE / 'results' / 'views.md', HERE / 'README.md')


def lines() -> Iterator[list[str]]:
    """For every row and kind of views, mean and spread over the seeds."""
    runs = study.runs(study.read(HERE))
    missing = [run.name for run in runs if not (RUNS / run.name / 'results.json').exists()]
    if missing:
        raise errors.UserError(
            f'not trained: {", ".join(missing)}. Run the sweep with --retrain first.'
        )
    val = gather.own_data(trained.load(*(RUNS / run.name for run in runs))).val
    shifted = corruptions.corrupted(val.images, seed=0)
    for row in tqdm(dict.fromkeys(run.row for run in runs), unit='row'):
        nets = trained.load(*(RUNS / run.name for run in runs if run.row == row))
        for views, name in NAMES.items():
            seeing = _with_views(nets, views)
            plain, hard = (
                [metrics.classification(logits, val.labels) for logits in seeing.each(images)]
                for images in (val.images, shifted)
            )
            columns = (('auroc', plain), ('auroc', hard), ('loss', hard))
            found = [np.array([one[metric] for one in each]) for metric, each in columns]
            yield [f'`{row}`', name, *(table.spread(each, 4) for each in found)]


def _with_views(nets: trained.Trained, views: str) -> trained.Trained:
    """The same nets, with other views than they were scored with."""
    members = tuple(dataclasses.replace(member, views=views) for member in nets.members)
    return dataclasses.replace(nets, members=members)


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
