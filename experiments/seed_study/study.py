"""The original study's models with the original study's recipe, and ours beside them, at 28 px.

python -m pneumo_jax sweep experiments/seed_study
"""

from pneumo_jax.sweep import Row, Study


def get_study() -> Study:
    return Study(
        question='What do the models of the original study reach over seeds, and what does ours?',
        seeds=(0, 1, 2, 3, 4),
        rows={
            'mlp': Row('configs/mlp.py:28', note='(`nn1`)'),
            'cnn': Row('configs/cnn.py:28', note='(`CNNModel`)'),
            'cnn_bn_dropout': Row('configs/cnn_bn_dropout.py:28', note='(`CNNModelAdvanced`)'),
            'resnet18': Row('configs/resnet18.py:28', note='(`ResNetScratch`)'),
            'resnet50': Row('configs/resnet50.py:28', note='(without ImageNet weights)'),
            'se_resnet18': Row('configs/se_resnet18.py:28', note='(proposed there)'),
            'vit': Row('configs/vit.py:28', note='(proposed there)'),
            'best': Row('configs/best.py:28', {'score_corrupted': True}, '(ours)'),
        },
        baseline='resnet18',
    )
