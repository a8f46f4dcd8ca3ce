"""The notebook's `ResNetScratch`: ResNet-18 (He et al. 2016) from random weights.

    python -m pneumo_jax.main --config configs/resnet18.py
    python -m pneumo_jax.main --config configs/resnet18.py:28

28 px: 10 epochs in 3 minutes on 2 cores, test AUROC .957 +- .009, ACC .841 +- .021 (5 seeds).
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    config = common.form(form, 'resnet18')
    if form == 'smoke':
        config.model.width = 16
    return config
