"""From images to the columns of a prediction: class, probability, set, uncertainty."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pneumo_jax import errors, runtime, trained
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import calibration, fitted, metrics, uncertainty

Row = dict[str, Any]
BIT = np.log(2)  # nats


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A run, or several as an ensemble, with its weights on the devices.

    `fitted` is what `evaluate` fitted to these weights, `shares` how frequent each class is by what
    the probabilities speak for, and where the images come from, `digest` a name for all that a
    prediction follows from but for the image.
    """

    trained: trained.Trained
    fitted: fitted.Fitted | None
    shares: tuple[Float[np.ndarray, ' k'], Float[np.ndarray, ' k']] | None
    digest: str

    @property
    def preprocess(self) -> Preprocess:
        """What images it takes."""
        return self.trained.preprocess

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what `rows` gives."""
        names = [f'p_{name}' for name in self.trained.classes]
        own = ('set', 'positive', 'radiograph', 'entropy', 'disagreement')
        return ('class', *names, 'calibrated', *own)

    def rows(self, images: UInt8[np.ndarray, 'n h w c'], batch_size: int) -> list[Row]:
        """The columns of every image, None where the run has nothing to say.

        Up to `batch_size` images become a batch of that size: one compiled program serves all.

        Entropy and disagreement are in bits. The entropy of the mean probability is the whole
        uncertainty; what of it is due to the members' disagreement is their mutual information
        (Depeweg et al. 2018, arXiv:1710.07283). Sets and the operating point are those of the
        prevalence that they were fitted at: neither the error rate of a set among the images of a
        class nor sensitivity depends on it.
        """
        blank = np.zeros((batch_size - len(images), *images.shape[1:]), np.uint8)
        each = self.trained.each(np.concatenate([images, blank]), batch_size)[:, : len(images)]
        fit = self.fitted
        logits = metrics.ensemble(each)
        at_fit = fit.probabilities(logits) if fit else metrics.softmax(logits)
        probabilities = calibration.prior_correct(at_fit, *self.shares) if self.shares else at_fit
        of_members = np.stack([metrics.softmax(member) for member in each])
        shared = uncertainty.mutual_information(of_members) / BIT
        classes, threshold = self.trained.classes, fit and fit.threshold
        values: dict[str, Any] = {
            'class': [classes[i] for i in probabilities.argmax(1)],
            **{f'p_{name}': probabilities[:, i] for i, name in enumerate(classes)},
            'calibrated': [fit is not None] * len(images),
            'set': fit and [list(names) for names in fit.sets(at_fit)],
            'positive': None if threshold is None else at_fit[:, 1] > threshold,
            'radiograph': fit and fit.is_radiograph(images),
            'entropy': uncertainty.entropy(probabilities) / BIT,
            'disagreement': shared if len(each) > 1 else None,
        }
        return [
            {name: None if found is None else _plain(found[i]) for name, found in values.items()}
            for i in range(len(images))
        ]


def load(
    runs: Sequence[pathlib.Path],
    prevalence: float | None = None,
    calibration_of: pathlib.Path | None = None,
) -> Predictor:
    """The finished runs in these folders.

    With `prevalence` the probabilities are those of a place where so large a share of the images
    is of the second class, the ill. `calibration_of` is the folder that `evaluate` wrote to. Unless
    given it is the first run's, and what was fitted to other weights there does not count.

    Raises:
        UserError: `trained.load` refuses the runs, they have other than two classes and a
            `prevalence` is given, or `calibration_of` holds nothing that was fitted to them.
    """
    loaded, mesh = trained.load(*runs), runtime.mesh()
    folder = calibration_of or runs[0]
    members = tuple(
        dataclasses.replace(member, variables=runtime.replicate(member.variables, mesh))
        for member in loaded.members
    )
    weights = fitted.fingerprints(runs)
    fit = fitted.read(folder, weights)
    if calibration_of and not fit:
        raise errors.UserError(
            f'--calibration {folder}: holds no {fitted.FILE} that was fitted to these weights; '
            '`python -m pneumo_jax evaluate RUN --out FOLDER` writes it.'
        )
    content = (folder / fitted.FILE).read_bytes() if fit else b''
    digest = hashlib.sha256(repr((weights, prevalence, content)).encode()).hexdigest()[:12]
    shares = None
    if prevalence is not None:
        wanted = _two(prevalence, loaded)
        shares = np.array(fit.shares) if fit else _shares(runs, loaded), wanted
    return Predictor(dataclasses.replace(loaded, members=members), fit, shares, digest)


def _two(prevalence: float, loaded: trained.Trained) -> Float[np.ndarray, ' 2']:
    if len(loaded.classes) != 2:
        raise errors.UserError(
            f'--prevalence is for two classes, well and ill; this run has {len(loaded.classes)}.'
        )
    return np.array([1 - prevalence, prevalence])


def _shares(runs: Sequence[pathlib.Path], loaded: trained.Trained) -> Float[np.ndarray, ' k']:
    """The classes' shares that the runs' probabilities of val speak for."""
    folders = runs if fitted.weighed(loaded) else runs[:1]
    logits, labels = trained.predictions(folders, 'val')
    if logits.shape[2] != len(loaded.classes) or len({*labels.tolist()}) != len(loaded.classes):
        raise errors.UserError(
            f'--prevalence: predictions_val.npz of {runs[0]} has not all of its classes and no '
            'others.'
        )
    return fitted.shares(loaded, metrics.softmax(metrics.ensemble(logits)), labels)


def _plain(value: Any) -> Any:
    """A number of numpy as Python's, to 9 digits: float32 logits hold no more."""
    if isinstance(value, np.bool_):
        return bool(value)
    return float(f'{value:.9g}') if isinstance(value, float) else value
