"""The linear probe: the features of a fixed net, computed once, and its head, solved for."""

import functools
import pathlib
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from ml_collections import ConfigDict
from tqdm import tqdm

from pneumo_jax import runtime
from pneumo_jax.augment import views
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import metrics, scoring
from pneumo_jax.models import heads
from pneumo_jax.training import initial, log, steps

# scikit-learn's C: the weight of the training images against the square of the coefficients.
STRENGTHS = tuple(10.0**power for power in range(-5, 2))
UNUSED = (
    'a probe solves for the head: of augment it takes flip alone, and nothing of optim, loss, mix, '
    'epochs, steps and batch_size'
)
Say = Callable[[str], None]


def fit(
    config: ConfigDict,
    model: nn.Module,
    preprocess: Preprocess,
    *,
    train: Split,
    val: Split,
    folder: pathlib.Path,
    meta: dict[str, Any],
    say: Say,
    prefix: str = '',
) -> tuple[steps.Variables, Callable[[steps.Variables, Any], Any]]:
    """As `loop.fit`, but nothing is trained: the head is solved for.

    A logistic regression on the standardised features of the training images as they are, and with
    `config.augment.flip` of their mirror images too; of `STRENGTHS` the one with the best val AUROC
    is taken, the strongest penalty among equals. Kornblith et al. 2019 (arXiv:1805.08974).
    """
    say(prefix + UNUSED)
    started, size = time.perf_counter(), config.eval_batch_size
    variables = _first(config, model, preprocess, say)
    images, labels = train.images, train.labels
    if config.augment.flip:
        images, labels = np.concatenate([images, images[:, :, ::-1]]), np.tile(labels, 2)
    seen, val_seen = (
        _features(model, preprocess, variables, found, size) for found in (images, val.images)
    )
    tried = [solve(seen, labels, strength) for strength in STRENGTHS]
    scores = [metrics.classification(_logits(head, val_seen), val.labels) for head in tried]
    best = int(np.argmax(np.nan_to_num([float(one['auroc']) for one in scores])))
    own = metrics.classification(_logits(tried[best], seen), labels)
    means = {name: float(own[name]) for name in ('loss', 'accuracy')}
    row = log.row(1, 1, means, [scores[best]], len(images) / (time.perf_counter() - started))
    say(f'{prefix}{seen.shape[1]} features an image; C={STRENGTHS[best]:g}, by val AUROC')
    say(prefix + log.line(row, 1))
    with log.Log(folder, 0, enabled=runtime.is_main()) as writer:
        writer.write({**row, 'C': STRENGTHS[best]})
    variables['params'][heads.name(variables['params'])] = tried[best]
    predict = _program(steps.make_predict(model, preprocess, views.create(config.views)))
    return runtime.replicate(variables, runtime.mesh()), functools.partial(_scores, predict, size)


def solve(
    features: Float[np.ndarray, 'n d'], labels: Int[np.ndarray, ' n'], strength: float
) -> dict[str, np.ndarray]:
    """Kernel [d, k] and bias [k] of scikit-learn's logistic regression on standardised features.

    They act on the features as they are. `strength` is the regression's C.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features.astype(np.float64))
    solver = LogisticRegression(C=strength, max_iter=5000)
    solver.fit(scaler.transform(features.astype(np.float64)), labels)
    weights, bias = solver.coef_, solver.intercept_
    if len(weights) == 1:  # of two classes it has the difference
        weights, bias = np.concatenate([-weights, weights]) / 2, np.append(-bias, bias) / 2
    kernel = (weights / scaler.scale_).T
    offset = bias - scaler.mean_ @ kernel
    return {'kernel': kernel.astype(np.float32), 'bias': offset.astype(np.float32)}


def _first(
    config: ConfigDict, model: nn.Module, preprocess: Preprocess, say: Say
) -> steps.Variables:
    """The net's first weights, as training has them, on the host."""
    given = initial.given(config, model, preprocess, say)
    draw = _program(functools.partial(steps.draw, model, preprocess.fed_shape))
    return jax.device_get(draw(runtime.key(config.seed, 'init'), given))


def _features(
    model: nn.Module,
    preprocess: Preprocess,
    variables: steps.Variables,
    images: UInt8[np.ndarray, 'n h w c'],
    size: int,
) -> Float[np.ndarray, 'n d']:
    """What the head sees of every image, with a bar on the terminal."""

    def pure(variables: steps.Variables, batch: UInt8[Array, 'b h w c']) -> Float[Array, 'b d']:
        return heads.features(model, variables, preprocess(batch))

    return _scores(_program(pure), size, variables, images, bar=True)


def _scores(
    program: Any, size: int, variables: Any, images: UInt8[np.ndarray, 'n h w c'], bar: bool = False
) -> Float[np.ndarray, 'n k']:
    """What `program` returns for all images, in batches of `size`."""
    size = min(size, len(images))
    batches = scoring.batches(images, size, runtime.mesh())
    off = None if bar and runtime.is_main() else True
    total = -(-len(images) // size)
    shown = tqdm(batches, total=total, unit='batch', disable=off, leave=False)
    return scoring.logits(program, variables, shown, len(images))


def _logits(
    head: dict[str, np.ndarray], features: Float[np.ndarray, 'n d']
) -> Float[np.ndarray, 'n k']:
    return features @ head['kernel'] + head['bias']


def _program(function: Callable[..., Any]) -> Any:
    return runtime.jit(function, out_shardings=runtime.replicated(runtime.mesh()))
