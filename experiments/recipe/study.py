"""From the original study's recipe to ours one part at a time, and ours with one part removed.

    python -m pneumo_jax sweep experiments/recipe

Every row has the same net, `resnet8` with half its channels, and 10 epochs, so that all rows and
seeds are an hour of 2 cores.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:28'
SHORT: dict[str, object] = {
    'epochs': 10,
    'model.widths': (32, 64, 128),
    'model.stem': 16,
    'score_corrupted': True,
    'standardise': False,
    'augment.blur': 0.03,
}
OFF: dict[str, object] = {
    'augment.crop': 0.0,
    'augment.flip': False,
    'augment.rotate': 0.0,
    'augment.brightness': 0.0,
    'augment.contrast': 0.0,
    'augment.gamma': 0.0,
    'augment.blur': 0.0,
    'augment.noise': 0.0,
    'loss.smoothing': 0.0,
    'optim.swa': 0.0,
    'views': '',
}
# What each part of the recipe consists of; the rows add them in this order.
PARTS: dict[str, tuple[str, ...]] = {
    'label smoothing': ('loss.smoothing',),
    'flips': ('augment.flip',),
    'crops': ('augment.crop',),
    'rotation': ('augment.rotate',),
    'brightness, contrast, gamma': ('augment.brightness', 'augment.contrast', 'augment.gamma'),
    'blur and noise': ('augment.blur', 'augment.noise'),
    'averaged weights': ('optim.swa',),
    'mirror views': ('views',),
}
NOTEBOOK: dict[str, object] = {
    **OFF,
    'optim.lr': 1e-3,
    'optim.schedule': 'constant',
    'optim.weight_decay': 0.0,
    'batch_size': 32,
}
ADDED: dict[str, dict[str, object]] = {
    'mixup': {'mix.mixup': 0.2},
    'CutMix': {'mix.cutmix': 1.0},
    'RandAugment': {'augment.policy': 'randaugment'},
    'JPEG, sharpness': {'augment.jpeg': 30, 'augment.sharpness': 0.9},
    'SAM': {'optim.sam': 0.05},
    'stochastic depth': {'model.drop_path': 0.1},
}


def get_study() -> Study:
    rows = {
        'original recipe': Row(PAGE, NOTEBOOK),
        '+ AdamW, one cycle': Row(PAGE, OFF),
    }
    missing = dict(OFF)
    for part, fields in PARTS.items():
        for field in fields:
            del missing[field]
        rows[f'+ {part}'] = Row(PAGE, dict(missing), note='' if missing else '= ours')
    for part, fields in PARTS.items():
        if part != 'mirror views':  # the row before the last has all but them
            without = {field: OFF[field] for field in fields}
            rows[f'ours without {part}'] = Row(PAGE, without)
    rows |= {f'ours with {name}': Row(PAGE, fields) for name, fields in ADDED.items()}
    return Study(
        question='Which parts of the recipe carry it?',
        seeds=(0, 1, 2),
        rows={name: Row(PAGE, {**SHORT, **row.overrides}, row.note) for name, row in rows.items()},
        baseline='+ mirror views',
    )
