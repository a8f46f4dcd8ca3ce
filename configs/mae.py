"""Masked auto-encoding of the training radiographs, for those without ImageNet weights.

    python -m pneumo_jax pretrain --config configs/mae.py:28
    python -m pneumo_jax.main --config configs/vit.py:28 --config.pretrained.source=runs/mae-28

He et al. 2022 (arXiv:2111.06377), with the ViT of `vit.py`. Trained by `pneumo_jax.main` the page
is that ViT from random weights.
"""

from ml_collections import ConfigDict

from configs import vit


def get_config(form: str = '224') -> ConfigDict:
    config = vit.get_config(form)
    config.augment = ConfigDict({'crop': 0.3, 'flip': True})
    config.optim.update({'lr': 1e-3, 'clip_norm': 0.0})
    config.optim.warmup_epochs = 1.0 if form == 'smoke' else 20.0
    if form != 'smoke':
        config.update({'batch_size': 128, 'epochs': 300})
    return config
