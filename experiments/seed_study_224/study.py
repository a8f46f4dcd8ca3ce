"""The original study's models with the original study's recipe, and ours beside them, at 224 px.

python -m pneumo_jax sweep experiments/seed_study_224
"""

from pneumo_jax.sweep import Row, Study


def get_study() -> Study:
    return Study(
        question='What do the models of the original study reach over seeds, and what does ours?',
        seeds=(0, 1, 2, 3, 4),
        rows={
            'mlp': Row('configs/mlp.py:224', note='(`nn1`)'),
            'cnn': Row('configs/cnn.py:224', note='(`CNNModel`)'),
            'cnn_bn_dropout': Row('configs/cnn_bn_dropout.py:224', note='(`CNNModelAdvanced`)'),
            'resnet18': Row('configs/resnet18.py:224', note='(`ResNetScratch`)'),
            'resnet50': Row('configs/resnet50.py:224', note='(without ImageNet weights)'),
            'se_resnet18': Row('configs/se_resnet18.py:224', note='(proposed there)'),
            'vit': Row('configs/vit.py:224', note='(proposed there)'),
            'best': Row('configs/best.py:224', note='(ours)'),
        },
        baseline='resnet18',
    )
