"""What `configs/best.py` reaches, at 28 px and at 64 px.

    python unpack_224.py --size 64 --out data/chest_xray_64.npz
    python -m pneumo_jax sweep experiments/best

The 64 px images are not MedMNIST's file but rebuilt from the same radiographs.
"""

from pneumo_jax.sweep import Row, Study

# The page's net before experiments/resplit.
SMALLER = {'model.widths': (64, 128, 256)}


def get_study() -> Study:
    return Study(
        question='What does the recipe that we stand for reach?',
        seeds=(0, 1, 2, 3, 4),
        rows={
            '28 px': Row('configs/best.py:28', {'score_corrupted': True}),
            **{
                f'28 px, 1.2 M weights, {epochs} epochs': Row(
                    'configs/best.py:28', {**SMALLER, 'epochs': epochs, 'score_corrupted': True}
                )
                for epochs in (100, 60)
            },
            '64 px, rebuilt': Row(
                'configs/best.py:64',
                {'data.path': 'data/chest_xray_64.npz', 'score_corrupted': True},
            ),
        },
        baseline='28 px',
    )
