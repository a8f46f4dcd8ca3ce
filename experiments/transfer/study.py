r"""A ViT from scratch, from masked auto-encoding and from ImageNet: what the beginning buys.

    python -m pneumo_jax pretrain --config configs/mae.py:28 --config.model.width=64 \
        --config.model.depth=4 --config.model.heads=2 --config.epochs=200 --workdir runs/mae-28
    python unpack_224.py --size 112 --out data/chest_xray_112.npz
    python -m pneumo_jax sweep experiments/transfer

The rows at 112 px need the weights of timm's ViT-Ti/16 too: a network, or their file in the folder
that $PNEUMO_JAX_WEIGHTS names.
"""

from pneumo_jax.sweep import Row, Study

SMALL, LARGE = 'configs/vit.py:28', 'configs/vit_pretrained.py:112'
# A small net, so that all rows and seeds at 28 px are half an hour of 2 cores. The recipe is that
# of `vit_pretrained.py`, but for smaller crops, more epochs, and the learning rate of `vit.py`,
# without a decay over layers.
RECIPE: dict[str, object] = {
    'model.width': 64,
    'model.depth': 4,
    'model.heads': 2,
    'augment.crop': 0.15,
    'augment.flip': True,
    'augment.rotate': 10.0,
    'augment.brightness': 0.45,
    'augment.contrast': 0.45,
    'augment.gamma': 0.5,
    'augment.blur': 0.03,
    'augment.noise': 0.06,
    'loss.smoothing': 0.1,
    'model.drop_path': 0.1,
    'optim.swa': 0.6,
    'views': 'flip',
    'epochs': 20,
}
MAE: dict[str, object] = {'pretrained.source': 'runs/mae-28'}
DATA: dict[str, object] = {'data.path': 'data/chest_xray_112.npz'}
PROBE: dict[str, object] = {'finetune.mode': 'probe'}


def get_study() -> Study:
    small: dict[str, dict[str, object]] = {
        '28 px, scratch': {},
        '28 px, MAE, probe': {**MAE, **PROBE},
        '28 px, MAE, head first': {**MAE, 'finetune.freeze_epochs': 5.0},
        '28 px, MAE, full': MAE,
        '28 px, MAE, full, layer decay': {**MAE, 'optim.layer_decay': 0.75},
    }
    large: dict[str, dict[str, object]] = {
        '112 px, scratch': {'pretrained.source': '', 'optim.layer_decay': 1.0, 'optim.lr': 5e-4},
        '112 px, ImageNet, probe': PROBE,
        '112 px, ImageNet, head first': {'finetune.freeze_epochs': 3.0},
        '112 px, ImageNet, full': {},
    }
    rows = {name: Row(SMALL, {**RECIPE, **fields}) for name, fields in small.items()}
    rows |= {name: Row(LARGE, {**DATA, **fields}) for name, fields in large.items()}
    return Study(
        question='What does a ViT gain by what came before?',
        seeds=(0, 1, 2),
        rows=rows,
        baseline='28 px, scratch',
    )
