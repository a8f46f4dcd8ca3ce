"""What is fitted on a run's val split once it is trained, and kept beside it.

`calibration.json` holds the temperature, the isotonic curve, the operating point and the limits of
the conformal sets; `ood.npz` what refuses images that are no radiographs. Both belong to weights
and data that they name by SHA-256. No label of test is ever read here.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pneumo_jax import errors, files
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.evaluation import calibration, conformal, metrics, ood
from pneumo_jax.training import workdir

if TYPE_CHECKING:
    from pneumo_jax.trained import Trained

FILE, DETECTOR = 'calibration.json', 'ood.npz'
FORMAT = 1  # a file of a higher one is refused
ALPHA, SENSITIVITY = 0.1, 0.95  # the sets' error rate, and the operating point's, unless asked for
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # error rates, beside the one asked for
LARGEST = 2**24  # bytes of either file; those of PneumoniaMNIST have 3 and 54 kB


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """Calibrated probabilities, sets of classes, and a look at the image before any of them.

    `weights` are the SHA-256 of the members' files, `data` that of the data set, `images` the
    number of val images, and `shares` those of the classes that the probabilities speak for.
    `threshold` is the operating point: P(class 1) above it is called positive, and at least the
    share `sensitivity` of val's positive images is. It and `isotonic` are None unless there are two
    classes. `alpha` is the stated error rate of the sets, `limits` as `conformal.limits` has them,
    and `levels` has those of other error rates: rows of a rate and its limits. `refused` is the
    stated rate of `detector`'s false alarms, and `refused_on_val` what it is there.
    """

    classes: tuple[str, ...]
    weights: tuple[str, ...]
    data: str
    images: int
    shares: tuple[float, ...]
    temperature: float
    isotonic: calibration.Isotonic | None
    sensitivity: float
    threshold: float | None
    alpha: float
    limits: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]
    refused: float
    refused_on_val: float
    detector: ood.Detector

    def probabilities(self, logits: Float[np.ndarray, 'n k']) -> Float[np.ndarray, 'n k']:
        """Probabilities at the fitted temperature."""
        return metrics.softmax(logits / self.temperature)

    def holds(self, probabilities: Float[np.ndarray, 'n k']) -> Bool[np.ndarray, 'n k']:
        """Which classes belong to each image's set, from what `probabilities` gives."""
        return conformal.sets(probabilities, np.array(self.limits))

    def sets(self, probabilities: Float[np.ndarray, 'n k']) -> list[tuple[str, ...]]:
        """The names of the classes in each image's set: all of them ask for a radiologist."""
        return [
            tuple(name for name, held in zip(self.classes, row, strict=True) if held)
            for row in self.holds(probabilities)
        ]

    def is_radiograph(self, images: UInt8[np.ndarray, 'n h w c']) -> Bool[np.ndarray, ' n']:
        """Whether each image looks like those that the run was trained on, upright."""
        return self.detector.accepts(images)

    def save(self, folder: pathlib.Path) -> None:
        """Write both files; the second, `calibration.json`, names the first by its SHA-256.

        Both are on the disk before what they replace goes, and that goes first: a kill leaves a
        folder without a fit, not one of two halves.
        """
        content = io.BytesIO()
        np.savez(content, **vars(self.detector))
        values: dict[str, Any] = {'format': FORMAT, **vars(self)}
        values['isotonic'] = self.isotonic and vars(self.isotonic)
        values['detector'] = hashlib.sha256(content.getvalue()).hexdigest()
        with files.atomic(folder / FILE) as told, files.atomic(folder / DETECTOR) as detector:
            told.write_text(files.to_json(values), encoding='utf-8')
            detector.write_bytes(content.getvalue())
            (folder / FILE).unlink(missing_ok=True)


def read(folder: pathlib.Path, weights: tuple[str, ...] = ()) -> Fitted | None:
    """What `Fitted.save` wrote in `folder`; None where there is nothing, or it is of other weights.

    `weights` are their `fingerprints`; without them it may be of any.

    Raises:
        UserError: the files are damaged, or of a newer version.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        values = json.loads(_bytes(path))
        if values.pop('format') > FORMAT:
            raise errors.UserError(f'{path} was written by a newer version; update pneumo_jax.')
        content = _bytes(folder / DETECTOR)
        if hashlib.sha256(content).hexdigest() != values.pop('detector'):
            raise ValueError(f'{DETECTOR} is not the file that was written with it')
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = _checked(values, ood.Detector(**arrays))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.UserError(
            f'{path} cannot be read: {error}. Remove it; python -m pneumo_jax evaluate writes it.'
        ) from error
    return found if not weights or found.weights == weights else None


def fit(
    trained: 'Trained',
    dataset: Dataset,
    logits: Float[np.ndarray, 'n k'],
    *,
    alpha: float = ALPHA,
    sensitivity: float = SENSITIVITY,
) -> Fitted:
    """Fit everything: on val, whose `logits` are given, and the detector's on train's images too.

    Raises:
        UserError: val does not hold two images of every class at least.
    """
    labels, count = dataset.val.labels, len(trained.classes)
    images = np.bincount(labels, minlength=count)
    if images.min() < 2:
        raise errors.UserError(f'{dataset.title}: val needs two images of every class to fit on.')
    temperature = calibration.temperature(logits, labels)
    probabilities = metrics.softmax(logits / temperature)
    binary = count == 2

    detector = ood.fit(dataset.train.images, dataset.val.images, ood.RATE)

    def limits(alpha: float) -> tuple[float, ...]:
        return tuple(conformal.limits(probabilities, labels, alpha).tolist())

    return Fitted(
        classes=trained.classes,
        weights=fingerprints(trained.runs),
        data=dataset.digest,
        images=len(labels),
        shares=tuple(shares(trained, probabilities, labels).tolist()),
        temperature=temperature,
        isotonic=calibration.isotonic(probabilities[:, 1], labels == 1) if binary else None,
        sensitivity=sensitivity,
        threshold=operating_point(probabilities[:, 1], labels, sensitivity) if binary else None,
        alpha=alpha,
        limits=limits(alpha),
        levels=tuple((level, *limits(level)) for level in LEVELS),
        refused=ood.RATE,
        refused_on_val=float(1 - detector.accepts(dataset.val.images).mean()),
        detector=detector,
    )


def shares(
    trained: 'Trained', probabilities: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n']
) -> Float[np.ndarray, ' k']:
    """The classes' shares that the probabilities of val speak for.

    Val's own, or what `calibration.prior` finds where a loss has weighed the classes.
    """
    if weighed(trained):
        return calibration.prior(probabilities, labels)
    return np.bincount(labels, minlength=probabilities.shape[1]) / len(labels)


def weighed(trained: 'Trained') -> bool:
    """Whether the loss of a member has other shares of the classes in it than the images have."""
    losses = [record['config']['loss'] for record in trained.records]
    return any(loss['class_weights'] or loss['logit_adjustment'] for loss in losses)


def operating_point(
    probabilities: Float[np.ndarray, ' n'], labels: Int[np.ndarray, ' n'], sensitivity: float
) -> float:
    """The highest threshold at which so large a share of the positive images lies above it.

    Half-way to the next lower probability, so that rounding elsewhere does not move an image.
    """
    from sklearn.metrics import roc_curve

    _, reached, scores = roc_curve(labels == 1, probabilities, drop_intermediate=False)
    first = int(np.argmax(reached >= sensitivity))
    below = scores[first + 1] if first + 1 < len(scores) else 0.0
    return float((scores[first] + below) / 2)


def fingerprints(runs: Sequence[pathlib.Path]) -> tuple[str, ...]:
    """The SHA-256 of every member's weights, in the order of their values.

    Raises:
        UserError: a run has none.
    """
    found = []
    for run in runs:
        folders = workdir.members(run)
        if not folders:
            raise errors.UserError(f'{run} has no {workdir.WEIGHTS}: it is no finished run.')
        found += [files.sha256(folder / workdir.WEIGHTS) for folder in folders]
    return tuple(sorted(found))


def _bytes(path: pathlib.Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise ValueError(f'{path.name} is larger than {LARGEST / 2**20:.0f} MB')
    return path.read_bytes()


def _checked(values: dict[str, Any], detector: ood.Detector) -> Fitted:
    """The same as `Fitted`; `ValueError` where a number is not one that `fit` gives."""
    curve = values.pop('isotonic')
    isotonic = curve and calibration.Isotonic(tuple(curve['x']), tuple(curve['y']))
    for name in ('classes', 'weights', 'shares', 'limits'):
        values[name] = tuple(values[name])
    values['levels'] = levels = tuple(tuple(row) for row in values['levels'])
    found = Fitted(**values, isotonic=isotonic, detector=detector)
    numbers = [*found.shares, *found.limits, found.alpha, found.sensitivity]
    numbers += [found.refused, found.refused_on_val]
    numbers += [*isotonic.x, *isotonic.y] if isotonic else []
    numbers += [number for row in levels for number in row]
    numbers += [] if found.threshold is None else [found.threshold]
    size = detector.mean.size
    fits = len(found.classes) == len(found.shares) == len(found.limits)
    fits &= all(len(row) == 1 + len(found.classes) for row in levels)
    fits &= detector.precision.shape == (size, size) and detector.limits.shape == (2,)
    fits &= all(np.isfinite(array).all() for array in vars(detector).values())
    if not (fits and 0 < found.temperature < np.inf and all(0 <= x <= 1 for x in numbers)):
        raise ValueError('its numbers do not belong together')
    return found
