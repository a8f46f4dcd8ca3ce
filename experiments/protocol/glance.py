"""How far one gets at a glance: the classes told from 17 numbers of an image.

    python experiments/protocol/glance.py

A logistic regression on the gray levels of a thumbnail of 4 x 4 pixels and on the sharpness of the
whole (`pneumo_jax/data/look.py`), fitted to train. Nothing of it is chosen by val or test. A few
seconds.
"""

import pathlib
import sys
from collections.abc import Iterator

import numpy as np

from pneumo_jax import data, doors
from pneumo_jax.config import defaults
from pneumo_jax.data import look
from pneumo_jax.evaluation import metrics
from pneumo_jax.sweep import table

HERE = pathlib.Path(__file__).parent
HEADS = ('fitted to train of', 'scored on', 'AUROC', 'ACC', 'Normal recall', 'sensitivity')
SCORES = ('auroc', 'accuracy', 'specificity', 'sensitivity')


def main() -> None:
    """Write `results/glance.md` and put it into this folder's README."""
    text = table.lines(HEADS, [line for val in data.VALS for line in glanced(val)])
    table.publish(text, HERE / 'results' / 'glance.md', HERE / 'README.md')


def glanced(val: str) -> Iterator[list[str]]:
    """A line for val and, of the official split, one for test."""
    usual = defaults('cnn').data.to_dict()
    found = data.load(**{**usual, 'size': 28, 'val': val})
    model = look.classifier().fit(look.features(found.train.images), found.train.labels)
    for split in ('val', 'test') if val == 'official' else ('val',):
        part = getattr(found, split)
        ill = model.decision_function(look.features(part.images))
        scores = metrics.classification(np.column_stack([-ill, ill]) / 2, part.labels)
        shown = [f'{scores[name]:.3f}' for name in SCORES]
        yield [f'the {val} split', 'test' if split == 'test' else 'its val', *shown]


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
