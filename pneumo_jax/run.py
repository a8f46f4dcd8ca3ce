"""One run from its config to its report: data, model, training, scoring, and what it leaves."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict
from tqdm import tqdm

from pneumo_jax import config as configs
from pneumo_jax import data, models, outputs, runtime
from pneumo_jax.augment import corruptions, framing, mix
from pneumo_jax.data import originals
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.fields import CROPS
from pneumo_jax.training import build, initial, loop, probe, workdir


def run(config: ConfigDict, folder: pathlib.Path) -> None:
    """Train what `config` says, or go on with it, and leave its results in `folder`.

    A finished run prints its report again.

    Raises:
        UserError: the config, the data or the folder cannot be used, or training diverged.
    """
    say = tqdm.write if runtime.is_main() else _silent
    workdir.check(folder, config)
    if _told(folder, say):
        return
    dataset = data.load(**config.data)
    if dataset.synthetic and config.data.name != 'synthetic':
        config, folder = _as_synthetic(config, folder)
        workdir.check(folder, config)
        if _told(folder, say):
            return
    # A mistake must not claim the folder.
    if config.finetune.mode != 'probe':  # which trains nothing
        build.plan_of(config, len(dataset.train))
        mix.create(**config.mix)
    train, about = dataset.train, outputs.describe(dataset)
    if config.originals:
        train = originals.load(config.originals, dataset, **config.data)
        about['originals'] = originals.digest(train.images)
    preprocess = _preprocess(config, dataset)
    model = models.create(**config.model, num_classes=len(dataset.classes))
    initial.given(config, model, preprocess, _silent)
    with contextlib.ExitStack() as held:

        def take() -> None:
            held.enter_context(workdir.locked(folder))
            workdir.claim(folder, config, about, runtime.provenance())

        runtime.by_main(take)
        say(f'{dataset.title}; run folder {folder}')
        _train_and_score(config, folder, dataset, train, model, preprocess, say)


def _told(folder: pathlib.Path, say: Callable[[str], None]) -> bool:
    """Whether the run is finished; if so, its report is printed."""
    finished = all((folder / name).exists() for name in (workdir.RESULTS, workdir.REPORT))
    if finished:
        say(f'{folder} is finished. Its report:\n\n{(folder / workdir.REPORT).read_text()}')
    return finished


def _preprocess(config: ConfigDict, dataset: Dataset) -> Preprocess:
    """From bytes to -1..1, or what `config` asks for, or the weights that it names expect."""
    usual = Preprocess(*dataset.image_shape, standardise=config.standardise)
    if not config.pretrained.source:
        return usual
    return dataclasses.replace(usual, **initial.scale(config))


def _train_and_score(
    config: ConfigDict,
    folder: pathlib.Path,
    dataset: Dataset,
    train: Split,
    model: nn.Module,
    preprocess: Preprocess,
    say: Callable[[str], None],
) -> None:
    meta = {
        'model': configs.to_json(config)['model'],
        'classes': list(dataset.classes),
        'preprocess': dataclasses.asdict(preprocess),
    }
    fit = probe.fit if config.finetune.mode == 'probe' else loop.fit
    variables, logits = fit(
        config,
        model,
        preprocess,
        train=train,
        val=dataset.val,
        folder=folder,
        meta=meta,
        say=say,
        prefix='[synthetic] ' if dataset.synthetic else '',
    )
    splits = {'val': dataset.val, **_shifted(config, dataset.val), 'test': dataset.test}
    if runtime.is_main():
        workdir.record_scoring(folder, 'test')
    scored = {name: logits(variables, split.images) for name, split in splits.items()}
    if runtime.is_main():
        labels = {name: split.labels for name, split in splits.items()}
        outputs.write(folder, config, dataset, scored, labels, variables, meta)
        say(f'\n{(folder / workdir.REPORT).read_text()}\nEverything is in {folder}')


def _shifted(config: ConfigDict, val: Split) -> dict[str, Split]:
    """Val once more, corrupted, framed otherwise, or both, as `config` asks."""
    found = {}
    with runtime.on_cpu():  # programs that each run once: a GPU's take long to compile
        if config.score_corrupted:
            found['val_corrupted'] = Split(corruptions.corrupted(val.images, seed=0), val.labels)
        if config.score_reframed:
            crops = framing.reframed(val.images)
            labels = np.tile(val.labels, CROPS)
            found['val_reframed'] = Split(crops, labels)
            if config.score_corrupted:
                both = corruptions.corrupted(crops, seed=0)
                found['val_reframed_corrupted'] = Split(both, labels)
    return found


def _as_synthetic(config: ConfigDict, folder: pathlib.Path) -> tuple[ConfigDict, pathlib.Path]:
    """The run that the fallback makes: its own config and folder, so that it is never mistaken."""
    config = config.copy_and_resolve_references()
    config.data.update({'name': 'synthetic', 'fallback': ''})
    return config.lock(), folder.with_name(f'{folder.name}-synthetic')


def _silent(line: str) -> None:
    """What the other processes of a job say."""
