"""Pretraining from its config to what it leaves: an encoder that `pretrained.source` can name."""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from pneumo_jax import config as configs
from pneumo_jax import data, errors, models, outputs, runtime, weights
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import reconstructions
from pneumo_jax.models import mae as masked
from pneumo_jax.training import build, mae, workdir

FIGURE = 'reconstructions.png'
SHOWN = 8  # images of the figure
VERB = 'pretrain'
# Fields, or the beginnings of their names, of labels, scores and averages, which it has none of.
UNUSED = (
    *('seeds', 'weights', 'views', 'score_', 'originals', 'pretrained.', 'finetune.'),
    *('mix.', 'loss.', 'optim.layer_decay', 'optim.sam', 'optim.ema', 'optim.swa'),
    *('checkpoint.best', 'eval_batch_size'),
)


def run(config: ConfigDict, folder: pathlib.Path) -> None:
    """Pretrain what `config` says on its training images, or go on with it.

    Labels are not used, val and test are not looked at.

    Raises:
        UserError: the config, the data or the folder cannot be used, or training diverged.
    """
    say = tqdm.write if runtime.is_main() else lambda _: None
    _check(config)
    workdir.check(folder, config, VERB)
    if (folder / workdir.WEIGHTS).exists():
        say(f'{folder} is finished. {_use(folder)}')
        return
    dataset = data.load(**config.data)
    # A mistake must not claim the folder.
    build.plan_of(config, len(dataset.train))
    patches = math.prod(-(-side // config.model.patch) for side in dataset.image_shape[:2])
    masked.seen_of(patches, config.mae.mask)
    about = outputs.describe(dataset)
    with contextlib.ExitStack() as held:

        def take() -> None:
            held.enter_context(workdir.locked(folder))
            workdir.claim(folder, config, about, runtime.provenance(), VERB)

        runtime.by_main(take)
        say(f'{dataset.title}, {len(dataset.train):,} training images; run folder {folder}')
        _pretrain(config, folder, dataset, say)


def _check(config: ConfigDict) -> None:
    """Refuse a model without patches, and fields that would be without effect."""
    if config.model.name != 'vit':
        raise errors.UserError(
            f"model {config.model.name!r} has no patches to hide: pretrain takes 'vit'."
        )
    if config.mae.decoder_width % masked.HEAD:
        raise errors.UserError(
            f'config.mae.decoder_width={config.mae.decoder_width} must be a multiple of '
            f'{masked.HEAD}, which is the width of a head.'
        )
    for field, value in configs.stated(configs.to_json(config)).items():
        if field.startswith(UNUSED):
            raise errors.UserError(f'config.{field}={value} is nothing that pretrain uses.')


def _pretrain(
    config: ConfigDict, folder: pathlib.Path, dataset: Dataset, say: Callable[[str], None]
) -> None:
    preprocess = Preprocess(*dataset.image_shape, standardise=config.standardise)
    own = {name: value for name, value in config.model.items() if name not in ('name', 'dtype')}
    dtype = models.DTYPES[config.model.dtype]
    model = masked.MAE(num_classes=0, dtype=dtype, **own, **config.mae)
    meta = {
        'model': configs.to_json(config)['model'],
        'classes': [],
        'preprocess': dataclasses.asdict(preprocess),
    }
    images = dataset.train.images
    found = mae.fit(config, model, preprocess, images, folder=folder, meta=meta, say=say)
    if not runtime.is_main():
        return
    variables = runtime.on_host(found)
    some = images[np.linspace(0, len(images) - 1, SHOWN, dtype=int)]
    shown = mae.reconstruct(model, preprocess, variables, some)
    reconstructions.draw(shown, f'{dataset.title}, training images', folder / FIGURE)
    encoder = {
        name: leaves
        for name, leaves in variables['params'].items()
        if not name.startswith(masked.DECODER)
    }
    weights.save(folder / workdir.WEIGHTS, {'params': encoder}, {**meta, 'views': ''})
    say(f'Figure: {folder / FIGURE}. {_use(folder)}')


def _use(folder: pathlib.Path) -> str:
    return f'Fine-tune it with --config.pretrained.source={folder}'
