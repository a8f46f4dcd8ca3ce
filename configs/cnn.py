"""The notebook's `CNNModel`: two convolutions, each followed by a pooling, and a hidden layer.

    python -m pneumo_jax.main --config configs/cnn.py
    python -m pneumo_jax.main --config configs/cnn.py:28

28 px: 10 epochs in half a minute on 2 cores, test AUROC .938 +- .010, ACC .872 +- .030 (5 seeds).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    return common.form(form, 'cnn')
