"""Finished runs as what they are for: from images to probabilities, alone or as an ensemble."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import numpy as np
from flax.errors import FlaxError
from jaxtyping import Float, UInt8

from pneumo_jax import errors, files, models, runtime, weights
from pneumo_jax.augment import views
from pneumo_jax.data import checks
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import metrics, scoring
from pneumo_jax.training import steps, workdir


@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """One model with the weights that its run was scored with."""

    model: nn.Module
    preprocess: Preprocess
    views: str
    variables: weights.Variables

    @functools.cached_property
    def predict(self) -> Callable[[weights.Variables, Any], Any]:
        """The compiled `predict(variables, images) -> logits`.

        It raises UserError where the weights are not those of the model.
        """
        pure = steps.make_predict(self.model, self.preprocess, views.create(self.views))
        program = runtime.jit(pure, out_shardings=runtime.replicated(runtime.mesh()))

        def predict(variables: weights.Variables, images: Any) -> Any:
            try:
                return program(variables, images)
            except FlaxError as error:
                raise errors.UserError(
                    f'{workdir.WEIGHTS} holds weights that are not those of its model: {error}'
                ) from error

        return predict


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """What one or more finished run folders hold.

    `runs` are the folders, `records` their `run.json`, and `members` their models: one a seed.
    """

    runs: tuple[pathlib.Path, ...]
    records: tuple[dict[str, Any], ...]
    classes: tuple[str, ...]
    preprocess: Preprocess
    members: tuple[Member, ...]

    @property
    def title(self) -> str:
        """'cnn, seed 0', or 'cnn, ensemble of 3'."""
        names = dict.fromkeys(record['config']['model']['name'] for record in self.records)
        many = len(self.members)
        seed = self.records[0]['config']['seed']
        return f'{" + ".join(names)}, ' + (f'ensemble of {many}' if many > 1 else f'seed {seed}')

    def each(
        self, images: UInt8[np.ndarray, 'n h w c'], batch_size: int = 128
    ) -> Float[np.ndarray, 'm n k']:
        """Every member's float32 logits of any images, in their order."""
        found = []
        for member in self.members:
            batches = scoring.batches(images, min(batch_size, len(images)), runtime.mesh())
            found.append(scoring.logits(member.predict, member.variables, batches, len(images)))
        return np.stack(found)

    def logits(
        self, images: UInt8[np.ndarray, 'n h w c'], batch_size: int = 128
    ) -> Float[np.ndarray, 'n k']:
        """The one member's logits, or the logarithm of the members' mean probabilities."""
        return metrics.ensemble(self.each(images, batch_size))


def load(*runs: pathlib.Path) -> Trained:
    """The finished runs in these folders, as one ensemble.

    Raises:
        UserError: no run, an unfinished or damaged one, one of a newer version, the same one twice,
            or runs that differ in their classes or in the images that they take.
    """
    records = tuple(map(_record, runs))
    folders = [folder.resolve() for run in runs for folder in workdir.members(run)]
    if len({*folders}) < len(folders):
        raise errors.UserError('a model is named twice: an ensemble has each of its models once.')
    parts = [
        part for run, record in zip(runs, records, strict=True) for part in _parts(run, record)
    ]
    metas = [meta for _, meta in parts]
    for run_meta in metas[1:]:
        for name in ('classes', 'preprocess'):
            if run_meta[name] != metas[0][name]:
                raise errors.UserError(
                    f'these runs make no ensemble: {name} is {metas[0][name]} in one, '
                    f'{run_meta[name]} in another.'
                )
    try:
        for name in metas[0]['classes']:
            if not checks.fit_for_class(name):
                raise ValueError(f'no class can be called {name!r}')
        preprocess = Preprocess(**metas[0]['preprocess'])
        members = tuple(
            Member(
                models.create(**meta['model'], num_classes=len(meta['classes'])),
                preprocess,
                meta['views'],
                variables,
            )
            for variables, meta in parts
        )
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise errors.UserError(f'{runs[0]}: {workdir.WEIGHTS} is damaged ({error}).') from error
    return Trained(tuple(runs), records, tuple(metas[0]['classes']), preprocess, members)


def _record(run: pathlib.Path) -> dict[str, Any]:
    """`run.json` of a finished run; of a seed's folder, that of the run it belongs to."""
    place = workdir.home(run)
    record = workdir.read(place)
    if record is None:
        raise errors.UserError(
            f'{run} is no run folder (it has no {workdir.RUN}). Give one that '
            'python -m pneumo_jax.main has written, such as runs/quickstart.'
        )
    if record.get('verb', 'main') != 'main':
        raise errors.UserError(
            f'{run} holds an encoder without a head: fine-tune it with '
            f'--config.pretrained.source={run}.'
        )
    if not (run / workdir.RESULTS).exists():
        raise errors.UserError(
            f'the run in {run} is not finished; the command that began it goes on with it: '
            f'{record["origin"]["command"]}'
        )
    if place == run:
        return record
    seed = int(run.name.removeprefix('seed-'))
    return {**record, 'config': {**record['config'], 'seed': seed, 'seeds': 1}}


def _parts(
    run: pathlib.Path, record: dict[str, Any]
) -> Iterator[tuple[weights.Variables, weights.Meta]]:
    """Weights and their metadata, of every seed of a run."""
    first, count = record['config']['seed'], record['config']['seeds']
    own = [run / f'seed-{seed}' for seed in range(first, first + count)] if count > 1 else [run]
    for folder in own:
        yield weights.load(folder / workdir.WEIGHTS)


def results(run: pathlib.Path) -> dict[str, Any]:
    """The `results.json` of a finished run."""
    return json.loads((run / workdir.RESULTS).read_text(encoding='utf-8'))


def predictions(
    runs: Sequence[pathlib.Path], split: str
) -> tuple[Float[np.ndarray, 'r n k'], np.ndarray]:
    """(each run's float64 logits, labels) that the runs stored when they were scored.

    Raises:
        UserError: a file is missing or damaged, or the runs were not scored on the same labels.
    """
    logits, labels = [], None
    for run in runs:
        path = run / f'predictions_{split}.npz'
        try:
            # np.load leaves a damaged file open that it has opened itself.
            with path.open('rb') as opened, np.load(opened, allow_pickle=False) as file:
                logits.append(file['logits'].astype(np.float64))
                own = file['labels']
        except files.DAMAGES as error:
            reason = getattr(error, 'strerror', None) or error
            raise errors.UserError(f'{path} cannot be read: {reason}.') from error
        if labels is not None and not np.array_equal(labels, own):
            raise errors.UserError(
                f'{runs[0]} and {run} were not scored on the same {split} images.'
            )
        labels = own
    assert labels is not None
    return np.stack(logits), labels
