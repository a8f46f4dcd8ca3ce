"""Val framed otherwise, as a signal: every image a crop of itself, and that corrupted as well.

    python -m pneumo_jax sweep experiments/protocol --retrain
    python -m pneumo_jax sweep experiments/recipe --retrain
    python experiments/protocol/reframed.py

What `--config.score_reframed=True` scores, for runs that were trained before there was that
field: the nets that the sweeps leave in runs/, all of this study, and those of `recipe` that it
lacks. Only val images are scored. `agreement.py` reads what this writes.
"""

import csv
import io
import pathlib
import sys

import numpy as np
from tqdm import tqdm

from pneumo_jax import doors, errors, files, runtime, trained
from pneumo_jax.augment import corruptions, framing
from pneumo_jax.evaluation import gather, metrics
from pneumo_jax.fields import CROPS
from pneumo_jax.sweep import study

HERE = pathlib.Path(__file__).parent
RUNS = HERE.parent.parent / 'runs'
SCORES = ('auroc', 'accuracy', 'loss')


def main() -> None:
    """Write `results/reframed.csv`: a line for every run and signal."""
    runtime.start()
    own, others = (study.runs(study.read(HERE.parent / name)) for name in (HERE.name, 'recipe'))
    there = {run.digest for run in own}
    runs = {RUNS / HERE.name / run.name: run for run in own}
    runs |= {RUNS / 'recipe' / run.name: run for run in others if run.digest not in there}
    missing = [str(folder) for folder in runs if not (folder / 'results.json').exists()]
    if missing:
        raise errors.UserError(f'not trained: {", ".join(missing)}. Sweep with --retrain.')
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(('row', 'seed', 'split', *SCORES))
    for folder, run in tqdm(runs.items(), unit='run'):
        for split, found in scored(folder).items():
            writer.writerow((run.row, run.seed, split, *(repr(found[name]) for name in SCORES)))
    files.write_text(HERE / 'results' / 'reframed.csv', text.getvalue())


def scored(run: pathlib.Path) -> dict[str, dict[str, float]]:
    """The scores of a run on its val images, reframed, and reframed and corrupted."""
    net = trained.load(run)
    val = gather.own_data(net).val
    labels = np.tile(val.labels, CROPS)
    images = framing.reframed(val.images)
    both = corruptions.corrupted(images, seed=0)
    splits = {'val_reframed': images, 'val_reframed_corrupted': both}
    return {name: metrics.classification(net.logits(of), labels) for name, of in splits.items()}


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
