"""An evaluation of made-up predictions, of two classes and of more, by section and as a figure."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as peers

from pneumo_jax.data.dataset import Dataset, Split
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


def test_a_kind_of_the_ill_is_held_against_all_that_are_well(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(2)
    number = np.arange(150)
    kinds = np.where(seen.labels == 0, '', np.where(number < 60, 'bacterial', 'viral'))
    seen = dataclasses.replace(seen, kinds=kinds, patients=(number // 2).astype(str))
    found = sections.all_of(loaded, fit, seen, None)
    assert found['data']['patients'] == 75
    p = fit.probabilities(seen.logits)[:, 1]
    for kind, told in found['subgroups'].items():
        of_kind = kinds == kind
        assert told['images'] == of_kind.sum()
        kept = of_kind | (seen.labels == 0)
        auroc = peers.roc_auc_score(seen.labels[kept], p[kept])
        assert told['auroc']['value'] == pytest.approx(auroc)
        assert told['auroc']['low'] < auroc < told['auroc']['high']
        decided = told['decisions']['most probable class']
        assert set(decided) == {'sensitivity'}
        assert decided['sensitivity']['value'] == pytest.approx((p[of_kind] > 0.5).mean())
    assert set(found['subgroups']) == {'bacterial', 'viral'}


def test_a_kind_of_both_classes_is_by_itself(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(2)
    kinds = np.where(np.arange(150) < 60, 'young', '')
    found = sections.all_of(loaded, fit, dataclasses.replace(seen, kinds=kinds), None)
    told, p = found['subgroups']['young'], fit.probabilities(seen.logits)[:60, 1]
    auroc = peers.roc_auc_score(seen.labels[:60], p)
    assert told['images'] == 60 and told['auroc']['value'] == pytest.approx(auroc)
    decided = told['decisions']['operating point']
    well = seen.labels[:60] == 0
    assert decided['specificity']['value'] == pytest.approx((p[well] <= fit.threshold).mean())
    assert decided['sensitivity']['value'] == pytest.approx((p[~well] > fit.threshold).mean())


def test_at_a_prevalence_images_are_weighted_and_probabilities_corrected(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(2)
    told = sections.all_of(loaded, fit, seen, 0.1)['prevalence']
    p, ill = fit.probabilities(seen.logits)[:, 1], seen.labels == 1
    shares = np.array(fit.shares)
    odds = p / (1 - p) * (0.1 / 0.9) / (shares[1] / shares[0])
    corrected = odds / (1 + odds)
    weights = np.where(ill, 0.1 / ill.mean(), 0.9 / (1 - ill.mean()))
    for name, q in (('as they are', p), ('corrected', corrected)):
        found = told['probabilities'][name]
        precision = peers.precision_score(ill, q > 0.5, sample_weight=weights)
        assert found['ppv']['value'] == pytest.approx(precision)
        brier = np.average((q - ill) ** 2, weights=weights)
        assert found['brier']['value'] == pytest.approx(brier)
    accuracy = peers.accuracy_score(ill, p > fit.threshold, sample_weight=weights)
    assert told['operating point']['accuracy']['value'] == pytest.approx(accuracy)


def test_what_is_no_radiograph_is_refused_and_counted(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(2)
    told = sections.all_of(loaded, fit, seen, None)['ood']['refused']
    refused = ~fit.is_radiograph(seen.images)
    assert told['test']['value'] == pytest.approx(refused.mean())
    assert told['test']['images'] == 150
    assert {'inverted', 'blank'} < set(told)


def test_coverage_is_counted(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(2)
    told = sections.all_of(loaded, fit, seen, None)['conformal']
    sets = fit.sets(fit.probabilities(seen.logits))
    right = [fit.classes[label] in held for label, held in zip(seen.labels, sets, strict=True)]
    assert told['coverage']['all images']['value'] == pytest.approx(np.mean(right))
    assert told['ask a radiologist']['all images']['value'] == np.mean(
        [len(held) == 2 for held in sets]
    )
    wrong = [len(held) == 1 and not ok for held, ok in zip(sets, right, strict=True)]
    alone = sum(len(held) == 1 for held in sets)
    assert told['errors where it answers']['value'] == pytest.approx(sum(wrong) / alone)
    strictly = told['coverage with empty sets']['all images']['value']
    assert strictly <= told['coverage']['all images']['value']


def test_sets_of_two_of_three_classes_are_not_called_all(made_up: MadeUp) -> None:
    loaded, fit, seen = made_up(3)
    found = sections.all_of(loaded, fit, seen, None)
    sizes = np.array([len(held) for held in fit.sets(fit.probabilities(seen.logits))])
    assert {2, 3} <= {*sizes.tolist()}
    asks = found['conformal']['ask a radiologist']['all images']['value']
    assert asks == pytest.approx((sizes > 1).mean()) and asks > (sizes == 3).mean()
    text = tables.text(found)
    assert 'several classes' in text and 'all classes' not in text


def test_a_kill_between_the_files_leaves_no_fit_of_two_halves(
    made_up: MadeUp, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, earlier, _ = made_up(2)
    _, fit, _ = made_up(3)
    earlier.save(tmp_path)

    replace = pathlib.Path.replace

    def killed(self: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if target.name == fitted.FILE:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(pathlib.Path, 'replace', killed)
        fit.save(tmp_path)
    assert fitted.read(tmp_path) is None
    fit.save(tmp_path)
    assert fitted.read(tmp_path) is not None


def test_a_full_disk_leaves_the_earlier_fit(
    made_up: MadeUp, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, earlier, _ = made_up(2)
    earlier.save(tmp_path)
    _, fit, _ = made_up(3)

    def full(self: pathlib.Path, content: bytes) -> int:
        raise OSError('No space left on device')

    with monkeypatch.context() as patched, pytest.raises(OSError, match='No space'):
        patched.setattr(pathlib.Path, 'write_bytes', full)
        fit.save(tmp_path)
    kept = fitted.read(tmp_path)
    assert kept is not None and kept.classes == earlier.classes


@pytest.mark.parametrize('count', [4, 49, 98, 103])
def test_two_images_of_a_class_are_enough_to_fit_on(count: int, made_up: MadeUp) -> None:
    loaded, _, seen = made_up(2)
    labels = (np.arange(count) < 2).astype(np.int32)
    val = Split(seen.images[:count], labels)
    fit = fitted.fit(loaded, Dataset('few', ('well', 'mild'), val, val, val), seen.logits[:count])
    assert fit.shares[1] == 2 / count


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
