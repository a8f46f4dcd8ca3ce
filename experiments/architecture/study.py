"""Kernel size, depth, squeeze and excitation, and a transformer, with our recipe at equal compute.

    python -m pneumo_jax sweep experiments/architecture

Every row has about as many operations an image as `resnet8` with half its channels, 8 million
multiply-adds, by its widths, and 10 epochs.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:28'
FIELDS: dict[str, object] = {
    'epochs': 10,
    'score_corrupted': True,
    'standardise': False,
    'augment.blur': 0.03,
}
HALF: dict[str, object] = {'model.widths': (32, 64, 128), 'model.stem': 16}


def get_study() -> Study:
    rows: dict[str, dict[str, object]] = {
        'resnet8': {**HALF},
        'kernels of 5': {'model.kernel': 5, 'model.widths': (21, 42, 84), 'model.stem': 10},
        'two blocks a stage': {**HALF, 'model.blocks': 2, 'model.widths': (22, 44, 88)},
        'squeeze and excitation': {**HALF, 'model.excite': True},
        'vit, patch 4': {
            'model.name': 'vit',
            'model.patch': 4,
            'model.width': 48,
            'model.depth': 4,
            'model.heads': 3,
            'optim.lr': 1e-3,
            'optim.clip_norm': 1.0,
        },
        'vit, patch 7': {
            'model.name': 'vit',
            'model.patch': 7,
            'model.width': 96,
            'model.depth': 4,
            'model.heads': 3,
            'optim.lr': 1e-3,
            'optim.clip_norm': 1.0,
        },
    }
    return Study(
        question='Does another architecture do better at equal compute?',
        seeds=(0, 1, 2),
        rows={name: Row(PAGE, {**FIELDS, **fields}) for name, fields in rows.items()},
        baseline='resnet8',
    )
