"""Which recipe has the greatest AUROC on shifted val, in the mean over the splits.

    python experiments/resplit/choice.py
    python experiments/resplit/choice.py experiments/full_size

A study's rows are called 'RECIPE, split K'. The runs of split 0 of this one are those of
experiments/capacity.
"""

import pathlib
import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pneumo_jax import doors, errors, markdown
from pneumo_jax.sweep import store, table

HERE = pathlib.Path(__file__).parent
FIRST = HERE.parent / 'capacity'
Scores = dict[str, dict[str, float]]  # of a recipe, by the split


def door(argv: Sequence[str]) -> None:
    """Go through the script's arguments."""
    parser = doors.Parser(description=__doc__)
    about = {'metavar': 'STUDY', 'help': 'its folder (experiments/resplit)'}
    parser.add_argument('study', nargs='?', type=pathlib.Path, default=HERE, **about)
    given, rest = parser.parse_known_args(argv)
    parser.refuse(rest)
    main(given.study.resolve())


def main(study: pathlib.Path) -> None:
    """Write `results/choice.md` of a study and put it into its README."""
    first = store.read(FIRST / 'results') if study == HERE.resolve() else []
    found = scores(first, store.read(study / 'results'))
    if not found:
        raise errors.UserError(f"{study} has no run of a row called 'RECIPE, split K'.")
    splits = list(next(iter(found.values())))
    heads = ['corrupted val AUROC', *splits, 'mean', 'ahead of the first']
    text = markdown.table(heads, compared(found))
    table.publish(text, study / 'results' / 'choice.md', study / 'README.md')


def scores(first: list[store.Kept], rest: list[store.Kept]) -> Scores:
    """The score of every recipe with the splits that all were trained with, means over seeds.

    The rows of `first` that are called as a recipe are those of split 0. Raises UserError where
    there is no such split.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in rest:
        recipe, comma, split = run.line['row'].rpartition(', split ')
        if comma:
            found[recipe][f'split {split}'].append(run.score('val_corrupted', 'auroc'))
    for run in first:
        if run.line['row'] in found:
            found[run.line['row']]['split 0'].append(run.score('val_corrupted', 'auroc'))
    common = sorted(set.intersection(*map(set, found.values()))) if found else []
    if found and not common:
        raise errors.UserError(f'no split has runs of all of {", ".join(found)}; run the study.')
    return {
        recipe: {split: float(np.mean(by[split])) for split in common}
        for recipe, by in found.items()
    }


def compared(found: Scores) -> list[list[str]]:
    """A line for every recipe: scores, mean, and the paired difference with its standard error."""
    base = np.array(list(next(iter(found.values())).values()))
    lines = []
    for recipe, by_split in found.items():
        own = np.array(list(by_split.values()))
        ahead = own - base
        several = len(ahead) > 1
        error = f'{ahead.std(ddof=1) / np.sqrt(len(ahead)):.4f}' if several else '-'
        last = f'{ahead.mean():+.4f} +- {error}' if ahead.any() else '-'
        lines.append([f'`{recipe}`', *(f'{s:.4f}' for s in own), f'{own.mean():.5f}', last])
    return lines


if __name__ == '__main__':
    sys.exit(doors.enter(door, sys.argv[1:]))
