"""The recipe we stand for: long training, wide crops and photometric augmentation.

    python -m pneumo_jax.main --config configs/best.py:28
    python -m pneumo_jax.main --config configs/best.py:64
    python -m pneumo_jax.main --config configs/best.py:224
    python -m pneumo_jax.main --config configs/best.py:28 --config.seeds=5

A small ResNet from random weights. 28 px: 60 epochs in half an hour on one core, test AUROC
.9900 +- .0008, ACC .950 +- .005. 64 px: crops are cut from the set's 128 px, which is loaded too;
with data of your own give --config.originals=FILE.npz, or --config.originals= for none. Rebuilt:
25 minutes on one of two cores, .9912 +- .0011 and .954 +- .005.

224 px, for a GPU: ViT-Ti/16 from ImageNet weights, as `vit_pretrained.py` has it, for 60 epochs in
bfloat16. Rebuilt: AUROC .9956 +- .0007, ACC .969 +- .003; five seeds side by side took 5 minutes on
an H200. All of five seeds, in experiments/best.
"""

from ml_collections import ConfigDict

from configs import common, vit_pretrained


def get_config(form: str = '224') -> ConfigDict:
    if form == '224':  # experiments/full_size
        config = vit_pretrained.get_config()
        config.model.dtype = 'bfloat16'
        config.epochs = 60
        return config
    config = common.form(form, 'resnet8')
    config.augment = ConfigDict(common.AUGMENT)
    config.loss = ConfigDict({'smoothing': 0.1})
    config.optim = ConfigDict({'lr': 4e-3, 'schedule': 'onecycle', 'weight_decay': 0.05})
    if form == 'smoke':
        return config
    config.optim.swa = 0.6
    config.views = 'flip'
    config.update({'batch_size': 128, 'epochs': 60})
    config.standardise = True  # experiments/standardise, detail_64
    config.augment.blur = 0.06
    if form == '28':
        config.model.widths = (96, 192, 384)  # experiments/resplit
    else:
        config.augment.crop = 0.08
        config.model.widths = (64, 128, 256, 512)  # experiments/resplit_64
        config.model.stem_stride = int(form) // 32
    if form == '64':
        config.originals = '128'  # experiments/detail_64
    return config
