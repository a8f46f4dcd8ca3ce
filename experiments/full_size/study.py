"""Which recipe for 224 px, asked of three validation splits? Chosen by val alone. For a GPU.

    python unpack_224.py --size 224 --out data/chest_xray_224.npz
    python -m pneumo_jax sweep experiments/full_size --jobs 8
    python experiments/resplit/choice.py experiments/full_size

Five recipes, each trained with three val splits that share no patient with train. The rule, set
before the first run: the greatest AUROC on val, shifted by known corruptions, in the mean over the
splits, is to be trained with five seeds in experiments/best and to be `configs/best.py:224`,
whatever test says. The images are rebuilt, not MedMNIST's; products are in bfloat16. It needs the
csv with the patient of every image (split, index, patient) too.
"""

from pneumo_jax.sweep import Row, Study

# The form for 64 px, which stays what it is when the one for 224 px is chosen.
SCRATCH, TUNED = 'configs/best.py:64', 'configs/vit_pretrained.py:224'
FIELDS: dict[str, object] = {
    'data.size': 224,
    'data.path': 'data/chest_xray_224.npz',
    'data.groups': 'data/pneumoniamnist_patients.csv',
    'data.val': 'patients',
    'score_corrupted': True,
    'model.dtype': 'bfloat16',
}
SMALL: dict[str, object] = {
    'epochs': 60,
    'model.widths': (64, 128, 256),
    'model.stem_stride': 4,
    # The page's images before experiments/detail_64.
    'standardise': False,
    'augment.blur': 0.03,
    'originals': '',
}
RECIPES: dict[str, tuple[str, dict[str, object]]] = {
    'resnet8': (SCRATCH, SMALL),
    'resnet8, stem of stride 2': (SCRATCH, {**SMALL, 'model.stem_stride': 2}),
    'resnet8, stem of stride 2, four stages': (
        SCRATCH,
        {**SMALL, 'model.stem_stride': 2, 'model.widths': (64, 128, 256, 512)},
    ),
    'ViT-Ti from ImageNet, 15 epochs': (TUNED, {'epochs': 15}),
    'ViT-Ti from ImageNet, 60 epochs': (TUNED, {'epochs': 60}),
}
SPLITS = (1, 2, 3)  # by data.seed


def get_study() -> Study:
    return Study(
        question='Which recipe for 224 px do three validation splits choose?',
        seeds=(0,),
        rows={
            f'{name}, split {split}': Row(page, {**FIELDS, **fields, 'data.seed': split})
            for split in SPLITS
            for name, (page, fields) in RECIPES.items()
        },
        baseline='resnet8, split 1',
    )
