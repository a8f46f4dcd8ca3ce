"""Would validation have found the recipe? Eight recipes, with three validation splits each.

    python -m pneumo_jax sweep experiments/protocol
    python experiments/protocol/agreement.py

The official val split shares patients with train; two others are cut anew from both and share none,
one at random, and one of the images whose look speaks for the other class. Each is scored as it is
and shifted by known corruptions. The runs with the official split are those
of experiments/recipe, and taken from there. The second command asks which of these signals ranks
the recipes as the test split does.
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
VALS = ('official', 'patients', 'conflicting')
PLAIN = {
    **{f'augment.{name}': 0.0 for name in ('crop', 'rotate', 'blur', 'noise')},
    **{f'augment.{name}': 0.0 for name in ('brightness', 'contrast', 'gamma')},
    'augment.flip': False,
    'loss.smoothing': 0.0,
    'optim.swa': 0.0,
    'views': '',
}
NO_PHOTOMETRY = {f'augment.{name}': 0.0 for name in ('brightness', 'contrast', 'gamma')}


def get_study() -> Study:
    rows: dict[str, dict[str, object]] = {
        'no augmentation': PLAIN,
        'ours without crops': {'augment.crop': 0.0},
        'ours without photometry': NO_PHOTOMETRY,
        'ours without blur and noise': {'augment.blur': 0.0, 'augment.noise': 0.0},
        'ours with mixup': {'mix.mixup': 0.2},
        'ours with RandAugment': {'augment.policy': 'randaugment'},
        'ours with standardised images': {'standardise': True, 'augment.blur': 0.06},
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
