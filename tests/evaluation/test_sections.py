"""An evaluation of made-up predictions, of two classes and of more, by section and as a figure."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pneumo_jax import files
from pneumo_jax.evaluation import curves, fitted, sections, tables

MadeUp = Callable[[int], tuple[Any, Any, Any]]


@pytest.mark.parametrize('classes', [2, 4])
def test_every_section_and_figure(classes: int, made_up: MadeUp, tmp_path: pathlib.Path) -> None:
    loaded, fit, seen = made_up(classes)
    found = sections.all_of(loaded, fit, seen, None)
    found['figures'] = curves.draw(tmp_path / 'figures', 'x', found, fit, seen)
    assert len(found['figures']) == (5 if classes == 2 else 3)
    assert all((tmp_path / 'figures' / name).stat().st_size > 5000 for name in found['figures'])
    json.dumps(found, allow_nan=False)
    assert len(found['decisions']) == (2 if classes == 2 else 1)
    accuracy = (fit.probabilities(seen.logits).argmax(1) == seen.labels).mean()
    told = found['decisions']['most probable class']['accuracy']['value']
    assert told == pytest.approx(accuracy)
    for name in ('entropy', 'ensemble: disagreement', 'MC dropout: disagreement'):
        assert found['uncertainty'][name]['accuracy']['100%'] == pytest.approx(accuracy)
    # As many members in another order: dropout tells the same as the ensemble.
    both = [found['uncertainty'][f'{name}: disagreement'] for name in ('ensemble', 'MC dropout')]
    assert both[0] == both[1]
    text, page = tables.text(found), tables.markdown(found)
    assert f'{told:.3f} [' in text and f'{told:.3f} [' in page
    assert ('sensitivity' in text) == (classes == 2)
    assert {line.count('|') for line in page.splitlines() if line.startswith('| all')} == {7}


def test_coverage_is_counted(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(2)
    told = sections.all_of(loaded, fit, seen, None)['conformal']
    sets = fit.sets(fit.probabilities(seen.logits))
    right = [fit.classes[label] in held for label, held in zip(seen.labels, sets, strict=True)]
    assert told['coverage']['all']['value'] == pytest.approx(np.mean(right))
    assert told['ask a radiologist']['all']['value'] == np.mean([len(held) == 2 for held in sets])
    wrong = [len(held) == 1 and not ok for held, ok in zip(sets, right, strict=True)]
    alone = sum(len(held) == 1 for held in sets)
    assert told['errors where it answers']['value'] == pytest.approx(sum(wrong) / alone)
    strictly = told['coverage with empty sets']['all']['value']
    assert strictly <= told['coverage']['all']['value']


def test_sets_of_two_of_three_classes_are_not_called_all(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(3)
    found = sections.all_of(loaded, fit, seen, None)
    sizes = np.array([len(held) for held in fit.sets(fit.probabilities(seen.logits))])
    assert {2, 3} <= {*sizes.tolist()}
    asks = found['conformal']['ask a radiologist']['all']['value']
    assert asks == pytest.approx((sizes > 1).mean()) and asks > (sizes == 3).mean()
    text = tables.text(found)
    assert 'several classes' in text and 'all classes' not in text


def test_a_kill_between_the_files_leaves_no_fit_of_two_halves(
    made_up: MadeUp, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, earlier, _ = made_up(2)
    _, fit, _ = made_up(3)
    earlier.save(tmp_path)

    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(files, 'write_json', killed)
        fit.save(tmp_path)
    assert fitted.read(tmp_path) is None
    fit.save(tmp_path)
    assert fitted.read(tmp_path) is not None


def test_a_saved_fit_is_the_same(made_up: MadeUp, tmp_path: pathlib.Path) -> None:
    _, fit, seen = made_up(4)
    fit.save(tmp_path)
    again = fitted.read(tmp_path, fit.weights)
    assert again is not None and again.threshold is None and again.isotonic is None
    same = {name: value for name, value in vars(fit).items() if name != 'detector'}
    assert same == {name: vars(again)[name] for name in same}
    np.testing.assert_array_equal(again.is_radiograph(seen.images), fit.is_radiograph(seen.images))


def test_the_operating_point_keeps_the_sensitivity() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    labels = np.array([0, 1, 0, 1, 1, 1])
    for sensitivity, expected in ((0.75, 0.35), (0.76, 0.15), (1.0, 0.15), (0.2, 0.55)):
        found = fitted.operating_point(p, labels, sensitivity)
        assert found == pytest.approx(expected)
        assert (p > found)[labels == 1].mean() >= sensitivity
