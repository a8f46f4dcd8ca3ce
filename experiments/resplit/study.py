"""Which net for `configs/best.py` at 28 px, asked of four validation splits? Chosen by val alone.

    python -m pneumo_jax sweep experiments/resplit
    python experiments/resplit/choice.py

experiments/capacity asked one split and got no answer. Here every net is trained with three more
val splits, cut anew, that share no patient with train. The rule, set before the first run: of every
net the AUROC on val, shifted by known corruptions, is averaged over the four splits (that of the
first is the mean of its two seeds); the greatest is to be trained with five seeds in
experiments/best (a larger net for 60 epochs, which costs what 100 cost the smallest) and to be the
page's, whatever test says.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:28'
FIELDS: dict[str, object] = {
    'epochs': 30,
    'data.val': 'patients',
    'score_corrupted': True,
    'standardise': False,
    'augment.blur': 0.03,
    'model.kernel': 3,
}
NETS: dict[str, dict[str, object]] = {
    'resnet8': {'model.blocks': 1, 'model.widths': (64, 128, 256)},
    'wider by half': {'model.blocks': 1, 'model.widths': (96, 192, 384)},
    'two blocks a stage': {'model.blocks': 2, 'model.widths': (64, 128, 256)},
}
SPLITS = (1, 2, 3)  # by data.seed; 0 is that of experiments/capacity


def get_study() -> Study:
    return Study(
        question='Which of three nets do four validation splits choose?',
        seeds=(0,),
        rows={
            f'{net}, split {split}': Row(PAGE, {**FIELDS, **fields, 'data.seed': split})
            for split in SPLITS
            for net, fields in NETS.items()
        },
        baseline='resnet8, split 1',
    )
