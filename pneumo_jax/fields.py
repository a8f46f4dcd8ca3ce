"""Every field of a run: its default, and what it may hold. What a page does not state is here."""

from typing import Any

from ml_collections import ConfigDict

# The fields of every model beside `name` and `dtype`, as its module in pneumo_jax.models has them.
MODELS: dict[str, dict[str, Any]] = {
    'mlp': {'hidden': 128},
    'cnn': {'features': (16, 32), 'kernel': 3, 'hidden': 128},
    'cnn_bn_dropout': {'features': (32, 64), 'kernel': 3, 'hidden': 256, 'dropout': 0.5},
    'resnet8': {
        'stem': 32,
        'stem_stride': 1,
        'widths': (64, 128, 256),
        'blocks': 1,
        'kernel': 3,
        'excite': False,
        'dropout': 0.2,
        'drop_path': 0.0,
    },
    'resnet18': {'blocks': (2, 2, 2, 2), 'width': 64, 'drop_path': 0.0},
    'resnet50': {'blocks': (3, 4, 6, 3), 'width': 64, 'drop_path': 0.0},
    'se_resnet18': {'blocks': (2, 2, 2, 2), 'width': 64, 'drop_path': 0.0},
    'se_resnet50': {'blocks': (3, 4, 6, 3), 'width': 64, 'drop_path': 0.0},
    'densenet121': {'blocks': (6, 12, 24, 16), 'growth': 32},
    'convnext_tiny': {'blocks': (3, 3, 9, 3), 'dims': (96, 192, 384, 768), 'drop_path': 0.0},
    # Non-zero width, depth and heads replace those of the variant.
    'vit': {
        'variant': 'Ti',
        'patch': 16,
        'width': 0,
        'depth': 0,
        'heads': 0,
        'dropout': 0.0,
        'drop_path': 0.0,
        'layer_scale': False,
    },
}

# What a field may hold, where that is a list.
CHOICES: dict[str, tuple[str, ...]] = {
    'model.variant': ('Ti', 'S', 'B'),
    'model.dtype': ('float32', 'bfloat16'),
    'data.fallback': ('', 'synthetic'),
    'data.val': ('official', 'patients', 'conflicting'),
    'augment.policy': ('', 'randaugment', 'trivialaugment'),
    'finetune.mode': ('full', 'probe'),
    'finetune.bn': ('train', 'frozen'),
    'loss.name': ('cross_entropy', 'focal'),
    'optim.name': ('adam', 'sgd', 'lamb', 'lion'),
    'optim.schedule': ('constant', 'cosine', 'onecycle'),
    'views': ('', 'flip', 'flip_crop'),
    'checkpoint.best': ('auroc', 'accuracy', 'balanced_accuracy', 'loss'),
    'weights': ('last', 'best'),
}

# The closed interval that a number must lie in.
RANGES: dict[str, tuple[float, float]] = {
    'seed': (0, 2**31 - 1),
    'seeds': (1, 1024),
    'batch_size': (1, 2**20),
    'eval_batch_size': (1, 2**20),
    'epochs': (1, 10**6),
    'steps': (0, 10**9),
    'data.size': (0, 4096),
    'data.limit': (0, 10**9),
    'data.seed': (0, 2**31 - 1),
    'data.val_fraction': (0.01, 0.5),
    'augment.crop': (0, 1),
    'augment.rotate': (0, 180),
    'augment.shear': (0, 60),
    'augment.brightness': (0, 5),
    'augment.contrast': (0, 5),
    'augment.gamma': (0, 5),
    'augment.blur': (0, 0.25),
    'augment.noise': (0, 1),
    'augment.jpeg': (0, 95),
    'augment.sharpness': (0, 1),
    'augment.cutout': (0, 1),
    'finetune.freeze_epochs': (0, 10**6),
    'mae.mask': (0.05, 0.95),
    'mae.decoder_width': (32, 4096),
    'mae.decoder_depth': (1, 100),
    'mix.mixup': (0, 100),
    'mix.cutmix': (0, 100),
    'loss.smoothing': (0, 0.99),
    'loss.gamma': (0, 100),
    'loss.logit_adjustment': (0, 100),
    'optim.lr': (1e-12, 1e3),
    'optim.warmup_epochs': (0, 10**6),
    'optim.weight_decay': (0, 1e3),
    'optim.clip_norm': (0, 1e9),
    'optim.layer_decay': (0.01, 1),
    'optim.sam': (0, 10),
    'optim.ema': (0, 0.999999),
    'optim.swa': (0, 0.999),
    'checkpoint.steps': (0, 10**9),
    'model.stem': (1, 4096),
    'model.stem_stride': (1, 16),
    'model.blocks': (1, 100),
    'model.features': (1, 2**16),
    'model.widths': (1, 2**16),
    'model.dims': (1, 2**16),
    'model.kernel': (1, 63),
    'model.hidden': (1, 2**16),
    'model.growth': (1, 4096),
    'model.patch': (1, 4096),
    'model.width': (0, 2**16),
    'model.depth': (0, 1000),
    'model.heads': (0, 1024),
    'model.dropout': (0, 0.99),
    'model.drop_path': (0, 0.99),
}

CROPS = 3  # of a val image, where `score_reframed` is on


def defaults(model: str) -> ConfigDict:
    """Every field of a run of `model`: the notebook's recipe, with all that it lacks turned off."""
    config = ConfigDict()
    config.seed = 0  # of the initial weights, the data order, augmentation and dropout
    config.seeds = 1  # above 1: models of so many seeds, from `seed` on, together
    config.batch_size = 32  # over all devices together
    config.eval_batch_size = 128  # changes speed and memory, never a result
    config.epochs = 10
    config.steps = 0  # above 0: train this many steps instead of `epochs`
    config.weights = 'last'  # the weights that are scored at the end: 'last', or 'best' on val
    config.views = ''  # scored are means over 'flip': mirror images, 'flip_crop': also crops
    config.standardise = False  # every image has mean 0 and standard deviation 1 of its own
    config.originals = ''  # a larger size of the set, or an npz of it: crops are cut from those
    config.score_corrupted = False  # at the end val is also scored shifted by known corruptions
    config.score_reframed = False  # and as crops of itself; with both, corrupted crops too

    config.model = ConfigDict({'name': model, 'dtype': 'float32', **MODELS[model]})

    config.pretrained = ConfigDict()
    config.pretrained.source = ''  # a .safetensors file, a run folder, or timm's name of weights
    config.pretrained.revision = ''  # of weights that are downloaded
    config.pretrained.sha256 = ''  # of the file: another one is refused

    config.finetune = ConfigDict()
    config.finetune.mode = 'full'  # or 'probe': the head alone, solved for features computed once
    config.finetune.freeze_epochs = 0.0  # the head alone is trained so long, then everything
    config.finetune.bn = 'train'  # 'frozen': running statistics are used in training, and kept

    config.mae = ConfigDict()  # of the verb `pretrain` alone
    config.mae.mask = 0.75  # the share of the patches that is hidden
    config.mae.decoder_width = 64
    config.mae.decoder_depth = 2

    config.data = ConfigDict()
    config.data.name = 'pneumoniamnist'  # a MedMNIST 2D set, or 'synthetic'
    config.data.size = 224  # of the square images, in pixels; 0: as they are in the npz of `path`
    config.data.path = ''  # an npz file or an image folder, instead of `name`
    config.data.limit = 0  # above 0: at most this many images of every split
    config.data.val_fraction = 0.1  # of train, where the source has no val split
    config.data.seed = 0  # which images a val split that is cut anew has; of phantoms, their looks
    config.data.fallback = ''  # 'synthetic': drawn phantoms where there is no file and no network
    config.data.groups = ''  # a CSV (split, index, patient): whose every image is
    config.data.val = 'official'  # 'patients', 'conflicting': cut anew (data/splits.py)

    # 0, False and '' switch a part off. Ranges are uniform, and factors e^U(-x, x).
    config.augment = ConfigDict()
    config.augment.crop = 0.0  # the least share of the area that a random crop keeps
    config.augment.flip = False  # left and right, half of the images
    config.augment.rotate = 0.0  # degrees, to both sides
    config.augment.shear = 0.0  # degrees, to both sides
    config.augment.brightness = 0.0
    config.augment.contrast = 0.0
    config.augment.gamma = 0.0
    config.augment.blur = 0.0  # the largest sd as a share of the height, a third of the images
    config.augment.noise = 0.0  # the largest sd as a share of white, half of the images
    config.augment.jpeg = 0  # the lowest quality, half of the images
    config.augment.sharpness = 0.0  # as Pillow's, 1 +- x, half of the images
    config.augment.cutout = 0.0  # the largest side as a share of the height, half of the images
    config.augment.policy = ''  # 'randaugment' or 'trivialaugment'

    # Of pairs of images of a batch.
    config.mix = ConfigDict()
    config.mix.mixup = 0.0  # alpha of the Beta distribution
    config.mix.cutmix = 0.0  # alpha of the Beta distribution; with both, one of them a batch

    config.loss = ConfigDict()
    config.loss.name = 'cross_entropy'  # or 'focal'
    config.loss.smoothing = 0.0  # of the labels
    config.loss.gamma = 2.0  # of the focal loss
    config.loss.class_weights = False  # inverse to the training set's frequencies
    config.loss.logit_adjustment = 0.0  # times log prior, added to the logits while training

    config.optim = ConfigDict()
    config.optim.name = 'adam'  # or 'sgd' (Nesterov), 'lamb', 'lion'
    config.optim.lr = 1e-3  # the peak, after warm-up
    config.optim.schedule = 'constant'  # 'cosine', down to 0 at the end; 'onecycle', up and down
    config.optim.warmup_epochs = 0.0  # of growth: linear from zero, or the way up of 'onecycle'
    config.optim.weight_decay = 0.0  # decoupled, on kernels alone: with 'adam' this is AdamW
    config.optim.clip_norm = 0.0  # above 0: bound on the gradient's global norm
    config.optim.layer_decay = 1.0  # the learning rate's factor from a layer to the one before it
    config.optim.sam = 0.0  # above 0: radius of sharpness-aware minimisation
    config.optim.ema = 0.0  # above 0: decay of the averaged weights, which are then the scored ones
    config.optim.swa = 0.0  # above 0: score the mean of the weights from this share of the run on

    config.checkpoint = ConfigDict()
    config.checkpoint.best = 'auroc'  # the val metric by which the best checkpoint is kept
    config.checkpoint.steps = 0  # above 0: a checkpoint so often, beside the one of every epoch
    return config
