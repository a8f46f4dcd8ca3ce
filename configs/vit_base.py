"""ViT-B/16, as `vit.py` trains ViT-Ti/16 (Dosovitskiy et al. 2021); a GPU's work.

    python -m pneumo_jax.main --config configs/vit_base.py --config.model.dtype=bfloat16
    python -m pneumo_jax.main --config configs/vit_base.py:smoke

What it reaches here was not measured.
"""

from ml_collections import ConfigDict

from configs import vit


def get_config(form: str = '224') -> ConfigDict:
    config = vit.get_config(form)
    if form != 'smoke':
        config.model.update({'variant': 'B', 'width': 0, 'depth': 0, 'heads': 0})
    return config
