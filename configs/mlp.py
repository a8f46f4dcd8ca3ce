"""The notebook's `nn1`: one hidden layer on the pixels.

    python -m pneumo_jax.main --config configs/mlp.py
    python -m pneumo_jax.main --config configs/mlp.py:28

The notebook's recipe at both sizes.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    return common.form(form, 'mlp')
