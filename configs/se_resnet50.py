"""ResNet-50 with squeeze-and-excitation (Hu et al. 2018), which the notebook proposes.

    python -m pneumo_jax.main --config configs/se_resnet50.py
    python -m pneumo_jax.main --config configs/se_resnet50.py:28

The notebook's recipe at both sizes.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    config = common.form(form, 'se_resnet50')
    if form == 'smoke':
        config.model.blocks = (1, 1, 1, 1)
    return config
