"""Is the net that `configs/best.py` had at 28 px too small? Chosen by validation alone.

    python -m pneumo_jax sweep experiments/capacity

Every row is trained with a val split that shares no patient with train, for 30 of the 100 epochs
that the page had. The rule, set before the first run: the row with the greatest mean AUROC on that
split, shifted by known corruptions, is to be trained with five seeds in experiments/best.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/best.py:28'
FIELDS: dict[str, object] = {
    'epochs': 30,
    'data.val': 'patients',
    'score_corrupted': True,
    'standardise': False,
    'augment.blur': 0.03,
    'model.blocks': 1,
    'model.kernel': 3,
    'model.widths': (64, 128, 256),
}


def get_study() -> Study:
    rows: dict[str, dict[str, object]] = {
        'resnet8': {},
        'wider by half': {'model.widths': (96, 192, 384)},
        'two blocks a stage': {'model.blocks': 2},
        'kernels of 5': {'model.kernel': 5},
    }
    return Study(
        question='Is the net that we stand for too small?',
        seeds=(0, 1),
        rows={name: Row(PAGE, {**FIELDS, **fields}) for name, fields in rows.items()},
        baseline='resnet8',
    )
