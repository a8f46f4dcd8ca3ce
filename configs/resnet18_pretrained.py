"""The notebook's `ResNetPretrained`: ResNet-18 from ImageNet weights, the whole net fine-tuned.

    python -m pneumo_jax.main --config configs/resnet18_pretrained.py
    python -m pneumo_jax.main --config configs/resnet18_pretrained.py:28 \
        --config.pretrained.source=resnet18.safetensors

As in the notebook nothing is frozen, and Adam runs at 1e-3 for 10 epochs. The weights are timm's
`resnet18.tv_in1k`, torchvision's own; without a network, name a file of them. The smoke form
is the whole net too, so that it takes such a file; without one it begins with random weights. What
the page reaches here was not measured.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(form: str = '224') -> ConfigDict:
    config = common.form(form, 'resnet18')
    if form != 'smoke':
        config.pretrained = ConfigDict({'source': 'resnet18.tv_in1k'})
    return config
