"""What the report and the model card both say in words."""

from collections.abc import Iterator

import numpy as np

from pneumo_jax.evaluation import tables
from pneumo_jax.reporting import sources
from pneumo_jax.reporting.facts import Facts
from pneumo_jax.reporting.sources import Source

WARNING = (
    'Not a medical device. This is research software, cleared by no authority and tried on no '
    'patient. No decision about a person may rest on it.'
)
HEADLINE = ('auroc', 'accuracy', 'sensitivity', 'specificity', 'balanced_accuracy')


def source(facts: Facts) -> Source:
    """What is known of the data."""
    return sources.of(facts.official, facts.dataset.title, facts.dataset.synthetic)


def headline(facts: Facts, split: str = 'test') -> dict[str, dict[str, float | None]]:
    """The scores that head everything: each with its interval."""
    found = facts.found[split]
    decided = found['decisions']['most probable class']
    told = {'auroc': found['scores']['auroc'], **decided}
    chosen = HEADLINE[:4] if facts.binary else ('auroc', 'accuracy', 'balanced_accuracy')
    return {name: told[name] for name in chosen}


def verdict(facts: Facts) -> str:
    """The headline scores on test in a sentence, with n and how often test was scored."""
    told = ', '.join(
        f'{tables.NAMES[name]} {tables.cell(score)}' for name, score in headline(facts).items()
    )
    about = facts.found['test']['data']
    count = f'n = {about["images"]:,} images'
    if about['patients'] is not None:
        count += f' of {about["patients"]:,} patients'
    drawn = 'patients' if about['patients'] is not None else 'images'
    return (
        f'On test: {told} (the most probable class decides; 95 % intervals by bootstrap of '
        f'{drawn}; {count}). {times_scored(facts)}'
    )


def times_scored(facts: Facts) -> str:
    """How often test was looked at, of every run."""
    known = facts.times_scored
    if len(known) > 1:
        return f'Times that test was scored, run by run: {", ".join(map(str, known))}.'
    return f'The run has scored test {"once" if known[0] == 1 else f"{known[0]} times"}.'


def intended(facts: Facts) -> list[str]:
    """What the model may be used for."""
    return [
        'Research and teaching on how classifiers are trained, compared, calibrated and explained.',
        f'Images as those of {facts.dataset.title}: {population(facts)}.',
    ]


def population(facts: Facts) -> str:
    """Whose images these are."""
    return source(facts).population


def forbidden(facts: Facts) -> list[str]:
    """What the model must not be used for."""
    height, width, _ = facts.dataset.image_shape
    points = [
        'Diagnosis, triage, screening, or to support or check any of them: it is no medical '
        'device, and its errors below are what it does to images much like those it was made with.',
        f'People other than those of its data ({population(facts)}), other hospitals and other '
        'machines, without a study there first.',
        f'Images of another kind or another way of making them: it sees {height} x {width} px, '
        'and small findings are lost at few pixels.',
        f'Findings other than {", ".join(facts.loaded.classes)}: it gives every image one of these '
        'classes, whatever the image shows.',
        'Its probabilities as those of a patient: they hold for the shares of classes and the '
        'kind of images of val, and test shows how far off they are elsewhere.',
        'Its heat maps as the place of disease: they show what the model went by, right or wrong.',
    ]
    if facts.official == 'pneumoniamnist':
        points.insert(
            2,
            'Adults, infants, or the cause or severity of a pneumonia: none of this was learnt.',
        )
    short = [name for name, told in coverage(facts, 'test').items() if falls_short(facts, told)]
    if short:
        points.append(
            f'Its conformal sets as a guarantee: on test they held {" and ".join(short)} less '
            f'often than the {facts.promised} promised.'
        )
    return points


def coverage(facts: Facts, split: str) -> dict[str, dict[str, float]]:
    """How often the sets held the true class, over each class."""
    told = facts.found[split]['conformal']['coverage']
    return {name: told[name] for name in facts.loaded.classes if told[name]['value'] is not None}


def falls_short(facts: Facts, told: dict[str, float]) -> bool:
    """Whether coverage is below what was promised by more than chance: its whole interval is."""
    return told['high'] < 1 - facts.fitted.alpha


def limitations(facts: Facts) -> list[str]:
    """What the numbers themselves say against the model."""
    return list(_limitations(facts))


def _limitations(facts: Facts) -> Iterator[str]:
    val, test = (headline(facts, split) for split in ('val', 'test'))
    falls = [
        f'{tables.NAMES[name]} {own["value"]:.3f} on val, {test[name]["value"]:.3f} on test'
        for name, own in val.items()
        if own['value'] is not None
        and (high := test[name]['high']) is not None
        and high < own['value']
    ]
    if falls:
        yield f'Val flatters: {"; ".join(falls)}. The test images are not like those of val.'
    shared = shared_patients(facts)
    if shared:
        yield (
            f'{shared} of the {len(facts.seen["val"].labels):,} val images are of a patient who '
            'is in train as well: val tells little of new patients.'
        )
    for name, told in coverage(facts, 'test').items():
        if falls_short(facts, told):
            yield (
                f'Conformal sets promised for {facts.promised} of every '
                f'class held {name} in {told["value"]:.1%} of {told["images"]:,} test images.'
            )
    if len(facts.folders) == 1:
        yield 'One training run (one seed): another seed gives other numbers.'
    sizes = min(facts.found['test']['data']['classes'].values())
    yield (
        f'Test has {sizes:,} images of its rarest class, of the same source as train: it says '
        'nothing of other places.'
    )
    if facts.dataset.synthetic:
        yield 'The images are drawn phantoms: no number here says anything of radiographs.'


def shared_patients(facts: Facts) -> int:
    """How many val images are of a patient who is in train as well; 0 where that is not known."""
    train, val = facts.patients['train'], facts.patients['val']
    return 0 if train is None or val is None else int(np.isin(val, train).sum())
