"""ConvNeXt-T (Liu et al. 2022).

    python -m pneumo_jax.main --config configs/convnext_tiny.py
    python -m pneumo_jax.main --config configs/convnext_tiny.py:28

The notebook's recipe at both sizes.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    config = common.form(form, 'convnext_tiny')
    if form == 'smoke':
        config.model.update({'blocks': (1, 1, 1, 1), 'dims': (16, 32, 64, 128)})
    return config
