"""The mistakes that a run was surest of, and where it looked."""

import pathlib

import numpy as np
from jaxtyping import Float, Int

from pneumo_jax import canvas
from pneumo_jax.explain import drawing, run
from pneumo_jax.reporting.facts import Facts

COUNT = 12  # in all, shared between the classes


def surest(
    probabilities: Float[np.ndarray, 'n k'], labels: Int[np.ndarray, ' n'], count: int = COUNT
) -> Int[np.ndarray, ' m']:
    """Indices of images given to a wrong class, at most `count`: as many of each true class.

    Class by class, the most probable first: a kind of mistake that is rare is seen too.
    """
    decided = probabilities.argmax(1)
    wrong = np.flatnonzero(decided != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, decided[wrong]], kind='stable')]
    kinds = np.unique(labels[wrong])
    share = max(count // max(len(kinds), 1), 1)
    parts = [wrong[labels[wrong] == kind][:share] for kind in kinds[:count]]
    return np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64)


def draw(facts: Facts, which: Int[np.ndarray, ' m'], paths: list[pathlib.Path]) -> str:
    """Draw those test images with the maps of the class they were given; the method's name."""
    test, probabilities = facts.seen['test'], facts.probabilities('test')
    decided = probabilities.argmax(1)
    method = run.methods(facts.loaded)[0]
    heats = run.maps(facts.loaded, test.images[which], decided[which], method)
    classes = [canvas.cut(name) for name in facts.loaded.classes]
    titles = [
        f'test {i}: {classes[test.labels[i]]}\ngiven to {classes[decided[i]]}, '
        f'P = {probabilities[i, decided[i]]:.3f}'
        for i in which
    ]
    title = f'{facts.title}: the surest mistakes on test, {method}'
    for path in paths:
        drawing.sheet(test.images[which], heats, titles, title, path)
    return method
