"""ViT-Ti/16 from ImageNet weights (Steiner et al. 2021, arXiv:2106.10270), fine-tuned.

    python -m pneumo_jax.main --config configs/vit_pretrained.py
    python -m pneumo_jax.main --config configs/vit_pretrained.py:112 \
        --config.data.path=chest_xray_224.npz --config.pretrained.source=vit_tiny.safetensors

The weights are timm's `vit_tiny_patch16_224.augreg_in21k_ft_in1k`; without a network, name a file
of them. The grid of position embeddings is resampled to the images: 112 px, a quarter of the
patches of 224 px, are no size of MedMNIST's, and are made from the file that `data.path` names. The
recipe is the augmentation of `common.AUGMENT`, with crops of a fifth at least, and what is usual
for transformers. The smoke form is the whole net too; unless a file is named it begins with random
weights.

Test at 112 px, rebuilt: AUROC .993 +- .001, ACC .964 +- .001 (3 seeds, experiments/transfer); an
epoch takes a minute on 2 cores.
"""

from ml_collections import ConfigDict

from configs import common, vit

# Of small images patches of 16 are too few; the weights are resampled to smaller ones.
PATCHES = {'smoke': 4, '28': 4, '64': 8}


def get_config(form: str = '224') -> ConfigDict:
    config = vit.get_config('224' if form == '112' else form)
    config.augment = ConfigDict({**common.AUGMENT, 'crop': 0.2})
    config.loss = ConfigDict({'smoothing': 0.1})
    config.optim.update({'lr': 3e-4, 'layer_decay': 0.75})
    config.model.drop_path = 0.1
    config.model.update({'patch': PATCHES.get(form, 16), 'width': 0, 'depth': 0, 'heads': 0})
    if form == 'smoke':
        return config
    config.data.size = int(form)
    config.pretrained = ConfigDict({'source': 'vit_tiny_patch16_224.augreg_in21k_ft_in1k'})
    config.optim.swa = 0.6
    config.views = 'flip'
    config.update({'batch_size': 64, 'epochs': 15})
    return config
