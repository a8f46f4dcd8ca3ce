"""What a decision made after training does to the recall of Normal; nothing is trained.

    python experiments/imbalance/afterwards.py

From the probabilities of the study's runs. Two rules are given what no clinic knows beforehand: the
exact prior, which is the test split's share of pneumonia, and the bound, the most accurate of all
thresholds by the test labels themselves. No model is chosen or judged by the bound: it says what no
rule on these scores can exceed.
"""

import pathlib
import sys

import numpy as np

from pneumo_jax import doors, markdown
from pneumo_jax.evaluation import calibration, metrics
from pneumo_jax.sweep import store, table

HERE = pathlib.Path(__file__).parent
Probabilities = np.ndarray  # of pneumonia, [n]
HEADS = ('row', 'decision', 'ACC', 'Normal recall', 'sensitivity', 'seeds')


def with_prior(p: Probabilities, old: float, new: float) -> Probabilities:
    """The probability of pneumonia under another prior."""
    both, given, wanted = (np.stack([1 - ill, ill], -1) for ill in map(np.asarray, (p, old, new)))
    return calibration.prior_correct(both, given, wanted)[:, 1]


def estimated_prior(p: Probabilities, old: float, rounds: int = 200) -> float:
    """The prior that EM finds from unlabelled images.

    Saerens et al. 2002, doi:10.1162/089976602753284446.
    """
    new = old
    for _ in range(rounds):
        new = float(with_prior(p, old, new).mean())
    return new


def best_threshold(p: Probabilities, labels: np.ndarray, ill: float = 0.5) -> float:
    """The threshold with the highest accuracy where a share `ill` of the images is ill.

    By default, where both classes count alike, that is the highest balanced accuracy.
    """
    values = np.unique(p)
    cuts = (values[1:] + values[:-1]) / 2
    found = [((p <= cut)[labels == 0].mean(), (p > cut)[labels == 1].mean()) for cut in cuts]
    return float(cuts[int(np.argmax(np.array(found) @ [1 - ill, ill]))])


def decisions(kept: store.Kept, train_prior: float) -> dict[str, np.ndarray]:
    """Test decisions of one run, by the rule that makes them."""
    (val, val_labels), (p, labels) = kept.splits['val'], kept.splits['test']
    share = float(labels.mean())
    exact = with_prior(p, train_prior, share)
    em = with_prior(p, train_prior, estimated_prior(p, train_prior))
    return {
        'threshold .5': p > 0.5,
        'threshold chosen on val': p > best_threshold(val, val_labels),
        'exact test prior': exact > 0.5,
        'prior by EM': em > 0.5,
        'bound: the best by test labels': p > best_threshold(p, labels, share),
    }


def rates(decided: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Accuracy, recall of Normal, sensitivity."""
    matrix = metrics.confusion_matrix(np.eye(2)[decided.astype(int)], labels)
    well, ill = matrix
    return np.trace(matrix) / matrix.sum(), well[0] / well.sum(), ill[1] / ill.sum()


def main() -> None:
    """Write `results/afterwards.md` and put it into this folder's README."""
    kept = store.read(HERE / 'results')
    lines = []
    for row in dict.fromkeys(run.line['row'] for run in kept):
        runs = [run for run in kept if run.line['row'] == row]
        made = [decisions(run, float(run.splits['val'][1].mean())) for run in runs]
        for rule in made[0]:
            pairs = zip(made, runs, strict=True)
            found = np.array([rates(one[rule], run.splits['test'][1]) for one, run in pairs])
            lines.append([row, rule, *map(table.spread, found.T), str(len(runs))])
    text = markdown.table(HEADS, lines)
    table.publish(text, HERE / 'results' / 'afterwards.md', HERE / 'README.md')


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
