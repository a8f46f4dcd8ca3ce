"""The project's first table: ours beside the original study's and what others published.

    python experiments/best/beside.py

Ours are read from `results/`; the others are quoted.
"""

import pathlib

from pneumo_jax import files
from pneumo_jax.sweep import store, study, summary, table

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
HEADS = ('system', 'px', 'protocol', 'seeds', 'test AUROC', 'test ACC', 'Normal recall')
SCORES = {'auroc': 4, 'accuracy': 3, 'specificity': 3}
VAL = 'chosen on val'
QUOTED = [
    ('original study, best of six models', '224', 'last epoch', '1', '-', '.872', '.68'),
    ('original study, `CNNModel`', '224', 'last epoch', '1', '-', '.827', '.56'),
    ('MedMNIST v2, ResNet-18', '28', VAL, '1', '.944', '.854', '-'),
    ('MedMNIST v2, ResNet-50', '224', VAL, '1', '.962', '.884', '-'),
    ('BSDA', '28', VAL, '3', '.957', '.888 +- .012', '-'),
    ('MedMNIST+, ResNet-18, ImageNet weights', '224', VAL, '3', '.980', '.911 +- .010', '-'),
    ('MedMNIST+, DINO ViT-B/16, linear probe', '224', VAL, '3', '.989', '.916 +- .003', '-'),
    ('Google AutoML Vision', '28', 'a black box', '1', '.991', '.946', '-'),
    ('MedMamba-T', '224', 'split not stated', '1', '.965', '.899', '-'),
    ('MedViT, MedViTV2-L', '224', 'chosen on test, or no val', '1', '-', '.961, .973', '-'),
]


def main() -> None:
    """Write `results/beside.md` and put it into the project's README."""
    kept = store.read(HERE / 'results')
    found = summary.summaries(study.read(HERE), kept)
    own = [line for one in found if one.runs for line in ours(one)]
    text = table.lines(HEADS, [*own, *map(list, QUOTED)])
    files.write_text(HERE / 'results' / 'beside.md', text)
    table.place(text, 'beside', ROOT / 'README.md')
    print(text)


def ours(row: summary.Summary) -> list[list[str]]:
    """Two lines: the seeds one by one, and their ensemble."""
    pixels, count = row.row.replace(' px', ''), len(row.runs)
    spreads = [table.spread(row.scores('test', m), digits) for m, digits in SCORES.items()]
    together = [f'{row.ensemble[m]:.{digits}f}' for m, digits in SCORES.items()]
    protocol = 'last epoch; see `experiments/best`'
    return [
        ['**`configs/best.py`**', pixels, protocol, str(count), *spreads],
        ['**its ensemble**', pixels, protocol, f'{count} together', *together],
    ]


if __name__ == '__main__':
    main()
