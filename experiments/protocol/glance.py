"""How far one gets at a glance: the classes told from 17 numbers of an image.

    python experiments/protocol/glance.py

A logistic regression on the gray levels of a thumbnail of 4 x 4 pixels and on the mean step between
neighbouring pixels (`pneumo_jax/data/look.py`), fitted to train. Nothing of it is chosen by val or
test. It is what `python -m pneumo_jax audit` tells of any data.
"""

import pathlib
import sys

from pneumo_jax import data, doors, markdown
from pneumo_jax.audit import glance
from pneumo_jax.config import defaults
from pneumo_jax.sweep import table

HERE = pathlib.Path(__file__).parent
HEADS = ('split', 'scored on', 'AUROC', 'ACC', 'Normal recall', 'sensitivity')


def main() -> None:
    """Write `results/glance.md` and put it into this folder's README."""
    rows, usual = [], defaults('cnn').data.to_dict()
    for val in data.VALS:
        found = glance.scores(data.load(**{**usual, 'size': 28, 'val': val}))
        for split, of in found.items():
            numbers = (of['auroc'], of['accuracy'], *of['recall'].values())
            rows.append([val, split, *(f'{number:.3f}' for number in numbers)])
    table.publish(markdown.table(HEADS, rows), HERE / 'results' / 'glance.md', HERE / 'README.md')


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
