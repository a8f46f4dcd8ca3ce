"""Would validation have found the recipe? Seven recipes, with two validation splits each.

    python -m pneumo_jax sweep experiments/protocol
    python experiments/protocol/agreement.py

The official val split shares patients with train, the other is cut anew from both and shares none;
each is scored as it is and shifted by known corruptions. The second command asks which of these
signals ranks the recipes as the test split does.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:28'
SHORT: dict[str, object] = {'epochs': 30, 'score_corrupted': True}
VALS = ('official', 'patients')
NO_PHOTOMETRY = {f'augment.{name}': 0.0 for name in ('brightness', 'contrast', 'gamma')}
NO_DEGRADING = {'augment.blur': 0.0, 'augment.noise': 0.0}
NO_GEOMETRY = {'augment.crop': 0.0, 'augment.flip': False, 'augment.rotate': 0.0}


def get_study() -> Study:
    rows: dict[str, dict[str, object]] = {
        'no augmentation': {**NO_PHOTOMETRY, **NO_DEGRADING, **NO_GEOMETRY},
        'geometry alone': {**NO_PHOTOMETRY, **NO_DEGRADING},
        'photometry alone': {**NO_GEOMETRY},
        'ours without crops': {'augment.crop': 0.0},
        'ours with mixup': {'mix.mixup': 0.2},
        'ours with RandAugment': {'augment.policy': 'randaugment'},
        'ours': {},
    }
    return Study(
        question='Would validation have found the recipe?',
        seeds=(0, 1, 2),
        rows={
            f'{name}, {val}': Row(PAGE, {**SHORT, **fields, 'data.val': val})
            for val in VALS
            for name, fields in rows.items()
        },
        baseline='ours, official',
    )
