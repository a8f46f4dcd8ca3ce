"""ResNet-50 (He et al. 2016) from random weights, with the notebook's recipe.

    python -m pneumo_jax.main --config configs/resnet50.py
    python -m pneumo_jax.main --config configs/resnet50.py:28

The notebook's recipe at both sizes.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    config = common.form(form, 'resnet50')
    if form == 'smoke':
        config.model.blocks = (1, 1, 1, 1)
    return config
