"""What the figures of an evaluation show is what scikit-learn and counting say."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as peers

from pneumo_jax import canvas
from pneumo_jax.evaluation import calibration, curves, statistics

MadeUp = Callable[[int], tuple[Any, Any, Any]]
TITLE = 'made up'


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Callable[..., list[Any]]:
    """Draw a figure, and return its axes."""
    kept: list[Any] = []
    monkeypatch.setattr(canvas, 'save', lambda figure, path: kept.append(figure))

    def axes(draw: Callable[..., None], *given: Any) -> list[Any]:
        draw(*given, TITLE, tmp_path / 'x.png')
        assert kept[-1].get_suptitle() == TITLE
        return list(kept[-1].axes)

    return axes


def lines(axes: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {line.get_label(): line.get_data() for line in axes.lines}


def test_roc_and_precision_recall_are_those_of_scikit_learn(made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(2)
    p, ill = fit.probabilities(seen.logits)[:, 1], seen.labels == 1
    left, right = drawn(curves.ranking, seen, p)
    x, y = lines(left)[f'AUROC {peers.roc_auc_score(ill, p):.3f}']
    alarms, hits, _ = peers.roc_curve(ill, p, drop_intermediate=False)
    inner = ~np.isin(x.round(6), alarms.round(6))  # at a step one x has many values
    np.testing.assert_allclose(y[inner], np.interp(x, alarms, hits)[inner], atol=1e-9)
    x, y = lines(right)[f'average precision {peers.average_precision_score(ill, p):.3f}']
    precision, recall, _ = peers.precision_recall_curve(ill, p)
    expected = [precision[recall >= at].max() for at in x]
    assert (y <= np.array(expected) + 1e-9).all()
    at = [precision[np.flatnonzero(recall >= one)[-1]] for one in x]
    assert np.mean(np.isclose(y, at)) > 0.9


def test_bands_are_percentiles_of_resamples_and_hold_the_curve(made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(2)
    p, ill = fit.probabilities(seen.logits)[:, 1], seen.labels == 1
    left, _ = drawn(curves.ranking, seen, p)
    corners = left.collections[0].get_paths()[0].vertices
    at = corners[np.isclose(corners[:, 0], 0.2), 1]
    weights = statistics.drawn(seen.labels, 2000, 5, None)
    each = [
        np.interp(0.2, *peers.roc_curve(ill, p, sample_weight=row, drop_intermediate=False)[:2])
        for row in weights[:300]
    ]
    assert [at.min(), at.max()] == pytest.approx(np.percentile(each, [2.5, 97.5]), abs=0.03)


def test_reliability_shows_frequencies_with_exact_intervals(made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(2)
    top, *_, bottom = (axes := drawn(curves.reliability, fit, seen))
    assert len(axes) == 6  # as it comes, with a temperature, with an isotonic curve
    p = curves.sections.versions(fit, seen.logits)
    first = next(iter(p.values()))[:, 1]
    found = calibration.reliability(first, seen.labels == 1)
    x, y = top.lines[1].get_data()
    np.testing.assert_array_equal(y, found.frequency)
    np.testing.assert_array_equal(x, found.confidence)
    assert top.get_title().endswith(f'ECE {calibration.ece(first, seen.labels == 1):.3f}')
    bars = [segment[:, 1] for segment in top.collections[0].get_segments()]
    for (low, high), frequency, count in zip(bars, y, found.count, strict=True):
        if count:
            _, *interval = statistics.share(round(frequency * count), count)
            assert [low, high] == pytest.approx(interval)
    assert sum(bar.get_height() for bar in bottom.patches) == len(seen.labels)
    assert bottom.get_xlabel() == 'P(mild)'


def test_histograms_hold_the_images_of_their_class(made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(2)
    p = np.stack([1 - seen.labels, seen.labels], 1) * 0.8 + 0.1  # .9 for the true class
    rows = drawn(curves.distributions, fit, seen, p)
    for label, (axes, expected) in enumerate(zip(rows, (0.1, 0.9), strict=True)):
        tallest = max(axes.patches, key=lambda bar: bar.get_height())
        assert tallest.get_height() == (seen.labels == label).sum()
        assert tallest.get_x() - 1e-9 <= expected <= tallest.get_x() + 0.025 + 1e-9
        assert f'{tallest.get_height():.0f} images' in axes.get_ylabel()
        assert [line.get_xdata()[0] for line in axes.lines] == [0.5, fit.threshold]


def test_kinds_take_the_place_of_classes(made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(2)
    kinds = np.where(seen.labels == 0, '', np.where(np.arange(150) < 75, 'bacterial', 'viral'))
    seen = dataclasses.replace(seen, kinds=kinds)
    rows = drawn(curves.distributions, fit, seen, fit.probabilities(seen.logits))
    told = [axes.get_ylabel() for axes in rows]
    expected = [f'{kind}\n{(kinds == kind).sum()} images' for kind in ('bacterial', 'viral')]
    assert told == expected


def test_rejection_is_the_accuracy_of_the_surest(made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(2)
    p = fit.probabilities(seen.logits)
    (axes,) = drawn(curves.rejection, seen, p)
    label, (x, y) = next(iter(lines(axes).items()))
    assert label.startswith('entropy, area ')
    surest = np.argsort(-p.max(1))
    right = p.argmax(1) == seen.labels
    for rejected, accuracy in zip(x[::10], y[::10], strict=True):
        kept = round((1 - rejected) * len(right))
        assert accuracy == pytest.approx(right[surest[:kept]].mean())
    assert x.min() == 0 and x.max() == pytest.approx(0.9)
    assert lines(axes)['none rejected'][1][0] == right.mean()


@pytest.mark.parametrize('classes', [2, 4])
def test_coverage_is_counted_for_every_class(classes: int, made_up: MadeUp, drawn: Any) -> None:
    _, fit, seen = made_up(classes)
    p = fit.probabilities(seen.logits)
    left, right = drawn(curves.coverage, fit, seen, p)
    for label, name in enumerate(fit.classes):
        stated, reached = lines(left)[name]
        _, several = lines(right)[name]
        own = p[seen.labels == label]
        for row, share, many in zip(fit.levels, reached, several, strict=True):
            held = own >= np.array(row[1:])
            held[~held.any(1)] = True  # unlike every class
            assert share == held[:, label].mean() and many == (held.sum(1) > 1).mean()
        np.testing.assert_allclose(stated, 1 - np.array(fit.levels)[:, 0])
