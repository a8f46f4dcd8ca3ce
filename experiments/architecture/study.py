"""Kernel size, depth, squeeze and excitation, and a transformer, with our recipe at equal compute.

    python -m pneumo_jax sweep experiments/architecture

Every row has about as many operations an image as `resnet8`, 33 million multiply-adds, by its
widths, and 20 epochs.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:28'


def get_study() -> Study:
    rows: dict[str, dict[str, object]] = {
        'resnet8': {},
        'kernels of 5': {'model.kernel': 5, 'model.widths': (40, 80, 160), 'model.stem': 20},
        'two blocks a stage': {'model.blocks': 2, 'model.widths': (44, 88, 176)},
        'squeeze and excitation': {'model.excite': True},
        'vit, patch 4': {
            'model.name': 'vit',
            'model.patch': 4,
            'model.width': 96,
            'model.depth': 5,
            'model.heads': 3,
            'optim.lr': 1e-3,
            'optim.clip_norm': 1.0,
        },
        'vit, patch 7': {
            'model.name': 'vit',
            'model.patch': 7,
            'model.width': 160,
            'model.depth': 6,
            'model.heads': 5,
            'optim.lr': 1e-3,
            'optim.clip_norm': 1.0,
        },
    }
    return Study(
        question='Does another architecture do better at equal compute?',
        seeds=(0, 1, 2),
        rows={
            name: Row(PAGE, {'epochs': 20, 'score_corrupted': True, **fields})
            for name, fields in rows.items()
        },
        baseline='resnet8',
    )
