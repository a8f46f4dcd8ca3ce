"""What `evaluate` reports, section by section, as JSON has it."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pneumo_jax import runtime, trained
from pneumo_jax.evaluation import (
    calibration,
    conformal,
    metrics,
    ood,
    scores,
    statistics,
    strangers,
    uncertainty,
)
from pneumo_jax.evaluation.fitted import Fitted
from pneumo_jax.evaluation.gather import Seen

Found = dict[str, Any]
RESAMPLES = 1000
ALL = 'all images'  # beside the classes, which have names of their own
KEPT = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)


def all_of(loaded: trained.Trained, fitted: Fitted, seen: Seen, prevalence: float | None) -> Found:
    """Every section; with a `prevalence` one more."""
    labels, binary = seen.labels, len(loaded.classes) == 2
    probabilities, raw = fitted.probabilities(seen.logits), metrics.softmax(seen.logits)
    drawn = statistics.drawn((labels > labels.min()).astype(int), RESAMPLES, 0, seen.patients)
    found: Found = {
        'title': loaded.title,
        'runs': [str(run) for run in loaded.runs],
        'data': _about(loaded, seen),
        'fitted': _fitted(fitted),
        'scores': scores.to_json(scores.of_probabilities(probabilities, labels, drawn, raw=raw)),
        'decisions': _decisions(fitted, probabilities, labels, drawn),
        'calibration': _calibration(fitted, seen, drawn),
        'subgroups': _subgroups(fitted, probabilities, seen) if binary else {},
        'conformal': _conformal(fitted, probabilities, labels),
        'uncertainty': _uncertainty(seen, probabilities),
        'ood': _ood(fitted, seen),
        'origin': runtime.provenance(),
    }
    if prevalence is not None:
        found['prevalence'] = _at_prevalence(fitted, probabilities, labels, drawn, prevalence)
    return found


def _about(loaded: trained.Trained, seen: Seen) -> Found:
    counts = np.bincount(seen.labels, minlength=len(loaded.classes)).tolist()
    return {
        'title': seen.title,
        'split': seen.split,
        'external': seen.external,
        'images': len(seen.labels),
        'classes': dict(zip(loaded.classes, counts, strict=True)),
        'patients': None if seen.patients is None else len(np.unique(seen.patients)),
        'resamples': RESAMPLES,
    }


def _fitted(fitted: Fitted) -> Found:
    names = ('images', 'temperature', 'sensitivity', 'threshold', 'alpha', 'limits', 'refused')
    return {name: getattr(fitted, name) for name in names}


def _decisions(
    fitted: Fitted,
    probabilities: Float[np.ndarray, 'n k'],
    labels: Int[np.ndarray, ' n'],
    drawn: Float[np.ndarray, 'r n'],
) -> Found:
    """The scores of the most probable class and, of two classes, at the operating point."""
    decided = {'most probable class': probabilities.argmax(1)}
    if fitted.threshold is not None:
        decided['operating point'] = (probabilities[:, 1] > fitted.threshold).astype(int)
    return {
        name: scores.to_json(scores.of_decisions(each, labels, len(fitted.classes), drawn))
        for name, each in decided.items()
    }


def versions(fitted: Fitted, logits: Float[np.ndarray, 'n k']) -> dict[str, np.ndarray]:
    """The probabilities before and after every calibration."""
    warmed = fitted.probabilities(logits)
    found = {'before': metrics.softmax(logits), 'temperature': warmed}
    if fitted.isotonic:
        risen = fitted.isotonic(warmed[:, 1])
        found['isotonic'] = np.stack([1 - risen, risen], 1)
    return found


def _calibration(fitted: Fitted, seen: Seen, drawn: Float[np.ndarray, 'r n']) -> Found:
    found = {}
    for name, probabilities in versions(fitted, seen.logits).items():
        told = scores.of_probabilities(probabilities, seen.labels, drawn)
        own = probabilities[np.arange(len(seen.labels)), seen.labels]
        loss = float(-np.log(own).mean()) if own.min() > 0 else None
        found[name] = {**scores.to_json({k: told[k] for k in ('ece', 'brier')}), 'loss': loss}
    return found


def _subgroups(fitted: Fitted, probabilities: Float[np.ndarray, 'n k'], seen: Seen) -> Found:
    """Each kind by itself; a kind of one class is held against all images of the other."""
    found: Found = {}
    for kind in [] if seen.kinds is None else sorted({*seen.kinds.tolist()} - {''}):
        own = seen.kinds == kind
        present = set(seen.labels[own].tolist())
        kept = own if len(present) == 2 else own | ~np.isin(seen.labels, list(present))
        patients = None if seen.patients is None else seen.patients[kept]
        labels, part = seen.labels[kept], probabilities[kept]
        drawn = statistics.drawn(labels, RESAMPLES, 0, patients)
        rates = [
            name for label, name in enumerate(('specificity', 'sensitivity')) if label in present
        ]
        decisions = _decisions(fitted, part, labels, drawn)
        found[kind] = {
            'images': int(own.sum()),
            'auroc': scores.to_json(scores.of_probabilities(part, labels, drawn))['auroc'],
            'decisions': {name: {r: told[r] for r in rates} for name, told in decisions.items()},
        }
    return found


def _conformal(
    fitted: Fitted, probabilities: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n']
) -> Found:
    holds = fitted.holds(probabilities)
    strict = conformal.strict(probabilities, np.array(fitted.limits))
    right, strictly = (held[np.arange(len(labels)), labels] for held in (holds, strict))
    several = holds.sum(1) > 1

    def share(which: Bool[np.ndarray, ' n'], among: Bool[np.ndarray, ' n']) -> Found:
        told = scores.Score(*statistics.share(int((which & among).sum()), int(among.sum())))
        return scores.to_json({'it': told})['it'] | {'images': int(among.sum())}

    everything = np.ones(len(labels), bool)
    groups = {ALL: everything, **{n: labels == i for i, n in enumerate(fitted.classes)}}
    return {
        'alpha': fitted.alpha,
        'coverage': {name: share(right, among) for name, among in groups.items()},
        'coverage with empty sets': {name: share(strictly, a) for name, a in groups.items()},
        'empty': {name: share(strict.sum(1) == 0, among) for name, among in groups.items()},
        'ask a radiologist': {name: share(several, among) for name, among in groups.items()},
        'errors where it answers': share(~right, ~several),
    }


def doubts(seen: Seen, probabilities: Float[np.ndarray, 'n k']) -> dict[str, np.ndarray]:
    """What each measure says of every image: the higher, the less sure."""
    found = {'entropy': uncertainty.entropy(probabilities)}
    for name, logits in (('ensemble', seen.members), ('MC dropout', seen.dropout)):
        if logits is None or len(logits) == 1:
            continue
        each = np.stack([metrics.softmax(one) for one in logits])
        found[f'{name}: disagreement'] = uncertainty.mutual_information(each)
        if name == 'MC dropout':
            found[f'{name}: entropy'] = uncertainty.entropy(each.mean(0))
    return found


def _uncertainty(seen: Seen, probabilities: Float[np.ndarray, 'n k']) -> Found:
    right = probabilities.argmax(1) == seen.labels
    found = {}
    for name, doubt in doubts(seen, probabilities).items():
        curve = uncertainty.rejection(doubt, right)
        places = [max(round(share * len(right)), 1) - 1 for share in KEPT]
        accuracy = {f'{s:.0%}': float(curve.accuracy[i]) for s, i in zip(KEPT, places, strict=True)}
        found[name] = {'area': curve.area, 'accuracy': accuracy}
    return found


def _ood(fitted: Fitted, seen: Seen) -> Found:
    """How much is refused: of the split itself, turned, inverted, and of what is no radiograph."""
    kinds = {seen.split: seen.images, **ood.changes(seen.images)}
    kinds |= strangers.draw(seen.images.shape[1:])
    found = {}
    for name, images in kinds.items():
        told = statistics.share(int((~fitted.is_radiograph(images)).sum()), len(images))
        found[name] = dict(zip(('value', 'low', 'high'), told, strict=True), images=len(images))
    return {'stated': fitted.refused, 'val': fitted.refused_on_val, 'refused': found}


def _at_prevalence(
    fitted: Fitted,
    probabilities: Float[np.ndarray, 'n k'],
    labels: Int[np.ndarray, ' n'],
    drawn: Float[np.ndarray, 'r n'],
    prevalence: float,
) -> Found:
    """Scores where the share `prevalence` is ill: images weighted, probabilities corrected."""
    weights = scores.at_prevalence(np.ones((1, len(labels))), labels, prevalence)[0]
    drawn = scores.at_prevalence(drawn, labels, prevalence)
    wanted = np.array([1 - prevalence, prevalence])
    corrected = calibration.prior_correct(probabilities, np.array(fitted.shares), wanted)
    found = {}
    for name, p in (('as they are', probabilities), ('corrected', corrected)):
        told = scores.of_probabilities(p, labels, drawn, weights)
        decided = scores.of_decisions(p.argmax(1), labels, 2, drawn, weights)
        found[name] = scores.to_json({**{k: told[k] for k in ('brier', 'ece')}, **decided})
    point = (probabilities[:, 1] > fitted.threshold).astype(int)
    told = scores.of_decisions(point, labels, 2, drawn, weights)
    return {
        'prevalence': prevalence,
        'probabilities': found,
        'operating point': scores.to_json(told),
    }
