"""DenseNet-121 (Huang et al. 2017), the standard of chest X-ray work since CheXNet.

    python -m pneumo_jax.main --config configs/densenet121.py
    python -m pneumo_jax.main --config configs/densenet121.py:28

The notebook's recipe at both sizes.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    config = common.form(form, 'densenet121')
    if form == 'smoke':
        config.model.blocks = (2, 2, 2, 2)
    return config
