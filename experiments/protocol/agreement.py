"""Which validation signal ranks the recipes as the test split does.

python experiments/protocol/agreement.py
"""

import csv
import pathlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr

from pneumo_jax import doors, markdown
from pneumo_jax.sweep import store, table

HERE = pathlib.Path(__file__).parent
HEADS = (
    *('signal', 'rank correlation with test AUROC', 'and with test ACC'),
    *('would choose', 'its test AUROC', 'its test ACC'),
)
Scores = Float[np.ndarray, ' recipes']
Runs = Mapping[str, Sequence[store.Kept]]  # of every recipe
Reframed = Mapping[tuple[str, str, str], dict[str, str]]  # by row, seed and split
SPLITS = {
    'val': 'val',
    'val_corrupted': 'corrupted val',
    'val_reframed': 'reframed val',
    'val_reframed_corrupted': 'reframed, corrupted val',
}
SIGNALS = {
    f'{name} {score}': (split, score, sign)
    for split, name in SPLITS.items()
    for score, sign in (('auroc', 1), ('accuracy', 1), ('loss', -1))
}


def main() -> None:
    """Write `results/agreement.md` and put it into this folder's README."""
    with (HERE / 'results' / 'reframed.csv').open(newline='') as file:
        reframed = {
            (line['row'], line['seed'], line['split']): line for line in csv.DictReader(file)
        }
    lines = [line for name, runs in grouped().items() for line in compared(name, runs, reframed)]
    text = markdown.table(HEADS, lines)
    table.publish(text, HERE / 'results' / 'agreement.md', HERE / 'README.md')


def grouped() -> dict[str, Runs]:
    """The runs of this study by val split and recipe, and those that `recipe` has beside them."""
    groups: dict[str, dict[str, list[store.Kept]]] = defaultdict(lambda: defaultdict(list))
    own = store.read(HERE / 'results')
    for run in own:
        recipe, _, val = run.line['row'].rpartition(', ')
        groups[val][recipe].append(run)
    there = {run.line['config'] for run in own}
    for run in store.read(HERE.parent / 'recipe' / 'results'):
        if run.line['config'] not in there:
            groups['official, other recipes'][run.line['row']].append(run)
    return dict(groups)


def compared(group: str, runs: Runs, reframed: Reframed) -> Iterator[list[str]]:
    """A line for every signal of a group of runs; scores are means over seeds."""

    def one(run: store.Kept, split: str, score: str) -> float:
        place = run.line['row'], run.line['seed'], split
        return float(reframed[place][score]) if place in reframed else run.score(split, score)

    def means(split: str, score: str) -> Scores:
        return np.array([np.mean([one(run, split, score) for run in of]) for of in runs.values()])

    auroc, accuracy = means('test', 'auroc'), means('test', 'accuracy')
    signals = {name: sign * means(split, score) for name, (split, score, sign) in SIGNALS.items()}
    for name, signal in signals.items():
        best = int(signal.argmax())
        agreement = [f'{spearmanr(signal, scores).statistic:.2f}' for scores in (auroc, accuracy)]
        chosen = list(runs)[best], f'{auroc[best]:.3f}', f'{accuracy[best]:.3f}'
        yield [f'{group}: {name}', *agreement, *chosen]


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
