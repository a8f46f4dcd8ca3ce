"""What `configs/best.py` reaches, at 28 px, 64 px and 224 px.

    python unpack_224.py --size 64 --out data/chest_xray_64.npz
    python unpack_224.py --size 128 --out data/chest_xray_128.npz
    python unpack_224.py --size 224 --out data/chest_xray_224.npz
    python -m pneumo_jax sweep experiments/best

The images of 64 px and 224 px are not MedMNIST's files but rebuilt from the same radiographs; those
of 224 px need a GPU and the ImageNet weights of `configs/vit_pretrained.py`.
"""

from pneumo_jax.sweep import Row, Study

# The page's net before experiments/resplit and resplit_64, and its images before standardise and
# detail_64.
SMALLER = {'model.widths': (64, 128, 256)}
BEFORE = {'standardise': False, 'augment.blur': 0.03, 'score_corrupted': True}
PLAIN = {**BEFORE, 'originals': ''}


def rebuilt(size: int) -> dict[str, object]:
    """The fields of a row on images that are not MedMNIST's file."""
    return {'data.path': f'data/chest_xray_{size}.npz', 'score_corrupted': True}


def get_study() -> Study:
    return Study(
        question='What does the recipe that we stand for reach?',
        seeds=(0, 1, 2, 3, 4),
        rows={
            '28 px': Row('configs/best.py:28', {'score_corrupted': True}),
            '28 px, not standardised': Row('configs/best.py:28', BEFORE),
            **{
                f'28 px, 1.2 M weights, {epochs} epochs': Row(
                    'configs/best.py:28', {**SMALLER, **BEFORE, 'epochs': epochs}
                )
                for epochs in (100, 60)
            },
            '64 px, rebuilt': Row(
                'configs/best.py:64', {**rebuilt(64), 'originals': 'data/chest_xray_128.npz'}
            ),
            '64 px, rebuilt, not standardised': Row('configs/best.py:64', {**rebuilt(64), **PLAIN}),
            '64 px, rebuilt, three stages': Row(
                'configs/best.py:64', {**SMALLER, **rebuilt(64), **PLAIN}
            ),
            '224 px, rebuilt': Row('configs/best.py:224', rebuilt(224)),
        },
        baseline='28 px',
    )
