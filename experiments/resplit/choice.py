"""Which net has the greatest AUROC on shifted val, in the mean over the splits.

python experiments/resplit/choice.py
"""

import pathlib
import sys
from collections import defaultdict

import numpy as np

from pneumo_jax import doors
from pneumo_jax.sweep import store, table

HERE = pathlib.Path(__file__).parent
FIRST = HERE.parent / 'capacity'  # whose runs are those of split 0
HEADS = (
    'corrupted val AUROC',
    'split 0',
    'split 1',
    'split 2',
    'split 3',
    'mean',
    'ahead of the first',
)


def main() -> None:
    """Write `results/choice.md` and put it into this folder's README."""
    found = scores(store.read(FIRST / 'results'), store.read(HERE / 'results'))
    text = table.lines(HEADS, compared(found))
    table.publish(text, HERE / 'results' / 'choice.md', HERE / 'README.md')


def scores(first: list[store.Kept], rest: list[store.Kept]) -> dict[str, np.ndarray]:
    """The score of every net with every split; the mean of the seeds where a split has several."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in rest:
        net, _, split = run.line['row'].partition(', ')
        found[net, split].append(run.score('val_corrupted', 'auroc'))
    nets = dict.fromkeys(net for net, _ in found)
    for run in first:
        if run.line['row'] in nets:
            found[run.line['row'], ''].append(run.score('val_corrupted', 'auroc'))
    splits = sorted({split for _, split in found})
    return {net: np.array([np.mean(found[net, split]) for split in splits]) for net in nets}


def compared(found: dict[str, np.ndarray]) -> list[list[str]]:
    """A line for every net: scores, their mean, the paired difference with its standard error."""
    base = next(iter(found.values()))
    lines = []
    for net, of_net in found.items():
        ahead = of_net - base
        error = ahead.std(ddof=1) / np.sqrt(len(ahead))
        last = f'{ahead.mean():+.4f} +- {error:.4f}' if ahead.any() else '-'
        lines.append([f'`{net}`', *(f'{s:.4f}' for s in of_net), f'{of_net.mean():.5f}', last])
    return lines


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
