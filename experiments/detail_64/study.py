"""Standardised images, and crops in full detail, for `configs/best.py` at 64 px? By val alone.

    cp pneumoniamnist_patients.csv data/
    python unpack_224.py --size 64 --out data/chest_xray_64.npz
    python unpack_224.py --size 128 --out data/chest_xray_128.npz
    python -m pneumo_jax sweep experiments/detail_64
    python experiments/resplit/choice.py experiments/detail_64

A crop that keeps a tenth of a radiograph of 64 px has 20 pixels a side, and is blurred where it is
enlarged to 64; cut from the same radiograph at 128 px it is not. Each recipe is trained with two
val splits that share no patient with train. The rule is that of experiments/resplit_64, whose runs
are the first recipe's: the greatest AUROC on val, shifted by known corruptions, in the mean over
the splits, is trained with five seeds in experiments/best and is the page's, whatever test says.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:64'
FIELDS: dict[str, object] = {
    'epochs': 30,
    'data.path': 'data/chest_xray_64.npz',
    'data.groups': 'data/pneumoniamnist_patients.csv',
    'data.val': 'patients',
    'score_corrupted': True,
}
BEFORE: dict[str, object] = {'standardise': False, 'augment.blur': 0.03, 'originals': ''}
STANDARDISED: dict[str, object] = {'standardise': True, 'augment.blur': 0.06, 'originals': ''}
LARGE = 'data/chest_xray_128.npz'
RECIPES: dict[str, dict[str, object]] = {
    'four stages': BEFORE,
    'standardised': STANDARDISED,
    'standardised, crops of 128 px': {**STANDARDISED, 'originals': LARGE},
}
SPLITS = (1, 2)  # by data.seed


def get_study() -> Study:
    return Study(
        question='Do standardised images help at 64 px, and crops in full detail?',
        seeds=(0,),
        rows={
            f'{recipe}, split {split}': Row(PAGE, {**FIELDS, **fields, 'data.seed': split})
            for split in SPLITS
            for recipe, fields in RECIPES.items()
        },
        baseline='four stages, split 1',
    )
