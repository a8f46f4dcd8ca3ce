"""The project's first table: ours beside the original study's and what others published.

    python experiments/best/beside.py

Ours are read from `results/`, with the labels of the images that they were scored on, which have to
be in `data/` (see `study.py`); the others are quoted.
"""

import pathlib
import sys
from collections.abc import Iterator

from pneumo_jax import doors, markdown
from pneumo_jax.sweep import store, study, summary, table

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
HEADS = ('system', 'px', 'protocol', 'seeds', 'test AUROC', 'test ACC', 'Normal recall')
SCORES = {'auroc': 4, 'accuracy': 3, 'specificity': 3}
VAL = 'chosen on val'
# The rows of our studies that are shown: what they are called, and their pixels.
BEST, TUNED = '**`configs/best.py`**', '**`configs/best.py`, ImageNet weights**'
MODELS = {
    **dict.fromkeys(('mlp', 'cnn', 'cnn_bn_dropout', 'resnet18'), ''),
    'resnet50': ', without ImageNet weights',
    **dict.fromkeys(('se_resnet18', 'vit'), ', proposed there'),
}
ORIGINAL = 'original study, again'
AGAIN = ('seed_study', 'seed_study_224')  # whose ensembles are nobody's result
OURS = {
    'best': {
        '28 px': (BEST, '28'),
        '28 px, not standardised': ('the same, images not standardised, less blur', '28'),
        '64 px, rebuilt': (BEST, '64, rebuilt'),
        '64 px, rebuilt, not standardised': (
            'the same, not standardised, less blur, crops of 64 px',
            '64, rebuilt',
        ),
        '224 px, rebuilt': (TUNED, '224, rebuilt'),
    },
    'transfer': {
        '112 px, ImageNet, full': ('**`configs/vit_pretrained.py`, the same**', '112, rebuilt')
    },
    **{
        folder: {name: (f'{ORIGINAL}: `{name}`{more}', pixels) for name, more in MODELS.items()}
        for folder, pixels in zip(AGAIN, ('28', '224, rebuilt'), strict=True)
    },
}
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
    text = markdown.table(HEADS, [*own(), *map(list, QUOTED)])
    table.publish(text, HERE / 'results' / 'beside.md', ROOT / 'README.md')


def own() -> Iterator[list[str]]:
    """The lines of our rows that have runs."""
    for folder, rows in OURS.items():
        place = ROOT / 'experiments' / folder
        for one in summary.summaries(study.read(place), store.read(place / 'results')):
            if one.runs and one.row in rows:
                yield from ours(one, folder, *rows[one.row])


def ours(row: summary.Summary, folder: str, system: str, pixels: str) -> Iterator[list[str]]:
    """Two lines: the seeds one by one, and their ensemble."""
    count = len(row.runs)
    spreads = [table.spread(row.scores('test', m), digits) for m, digits in SCORES.items()]
    together = [f'{row.ensemble[m]:.{digits}f}' for m, digits in SCORES.items()]
    protocol = f'last epoch; see `experiments/{folder}`'
    yield [system, pixels, protocol, str(count), *spreads]
    if folder not in AGAIN:
        yield ['**its ensemble**', pixels, protocol, f'{count} together', *together]


if __name__ == '__main__':
    sys.exit(doors.script(main, __doc__))
