"""What mends an imbalance of classes, tried on a shift of images.

    python -m pneumo_jax sweep experiments/imbalance
    python experiments/imbalance/afterwards.py

The first trains; the second changes nothing but the decision, from the first one's probabilities.
"""

from pneumo_jax.sweep import Row, Study

PAGE = 'configs/cnn_bn_dropout.py:28'


def get_study() -> Study:
    return Study(
        question='Do class weights, focal loss or logit adjustment mend the recall of Normal?',
        seeds=(0, 1, 2, 3, 4),
        rows={
            'plain': Row(PAGE, note='(cross entropy)'),
            'class weights': Row(PAGE, {'loss.class_weights': True}),
            'focal': Row(PAGE, {'loss.name': 'focal'}, note='(gamma 2)'),
            'logit adjustment': Row(PAGE, {'loss.logit_adjustment': 1.0}, note='(tau 1)'),
        },
        baseline='plain',
    )
