"""The notebook's `CNNModelAdvanced`: wider than `cnn`, with BatchNorm and dropout.

    python -m pneumo_jax.main --config configs/cnn_bn_dropout.py
    python -m pneumo_jax.main --config configs/cnn_bn_dropout.py:28

28 px: 10 epochs in a minute on 2 cores, test AUROC .956 +- .003, ACC .838 +- .036 (5 seeds).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    return common.form(form, 'cnn_bn_dropout')
