"""Three stages or four for `configs/best.py` at 64 px? Chosen by val alone.

    cp pneumoniamnist_patients.csv data/
    python unpack_224.py --size 64 --out data/chest_xray_64.npz
    python -m pneumo_jax sweep experiments/resplit_64
    python experiments/resplit/choice.py experiments/resplit_64

Each net is trained with two val splits that share no patient with train. The rule, set before
any score: the net with the greater AUROC on val, shifted by known corruptions, in the mean over
the splits, is to be trained with five seeds in experiments/best and to be the page's, whatever test
says.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:64'
FIELDS: dict[str, object] = {
    'epochs': 30,
    'data.path': 'data/chest_xray_64.npz',
    'data.groups': 'data/pneumoniamnist_patients.csv',
    'data.val': 'patients',
    'score_corrupted': True,
    # The page's images before experiments/detail_64.
    'standardise': False,
    'augment.blur': 0.03,
    'originals': '',
}
NETS: dict[str, tuple[int, ...]] = {
    'three stages': (64, 128, 256),
    'four stages': (64, 128, 256, 512),
}
SPLITS = (1, 2)  # by data.seed


def get_study() -> Study:
    return Study(
        question='Three stages or four at 64 px?',
        seeds=(0,),
        rows={
            f'{net}, split {split}': Row(
                PAGE, {**FIELDS, 'model.widths': widths, 'data.seed': split}
            )
            for split in SPLITS
            for net, widths in NETS.items()
        },
        baseline='three stages, split 1',
    )
