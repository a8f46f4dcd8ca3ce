"""Every score against scikit-learn, MedMNIST's Evaluator, and resampling by hand."""

import contextlib
import io

import numpy as np
import pytest
from sklearn import metrics

from pneumo_jax.evaluation import scores, statistics


def made_up(count: int = 300, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with ties, that tell the labels in part."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + 1.5 * np.eye(classes)[labels]
    odds = np.exp(logits.round(1))
    return odds / odds.sum(1, keepdims=True), labels


@pytest.mark.parametrize('weighted', [False, True])
def test_binary_scores_are_those_of_scikit_learn(weighted: bool) -> None:
    probabilities, labels = made_up()
    decided = (probabilities[:, 1] > 0.7).astype(int)
    p = probabilities[:, 1]
    w = np.random.default_rng(1).uniform(0.1, 3, len(labels)) if weighted else None
    drawn = np.ones((1, len(labels))) if w is None else w[None]
    expected = {
        'accuracy': metrics.accuracy_score(labels, decided, sample_weight=w),
        'sensitivity': metrics.recall_score(labels, decided, sample_weight=w),
        'specificity': metrics.recall_score(labels, decided, pos_label=0, sample_weight=w),
        'ppv': metrics.precision_score(labels, decided, sample_weight=w),
        'npv': metrics.precision_score(labels, decided, pos_label=0, sample_weight=w),
        'f1': metrics.f1_score(labels, decided, sample_weight=w),
        'mcc': metrics.matthews_corrcoef(labels, decided, sample_weight=w),
        'balanced_accuracy': metrics.balanced_accuracy_score(labels, decided, sample_weight=w),
        'auroc': metrics.roc_auc_score(labels, p, sample_weight=w),
        'average_precision': metrics.average_precision_score(labels, p, sample_weight=w),
        'brier': metrics.brier_score_loss(labels, p, sample_weight=w),
    }
    found = scores.of_decisions(decided, labels, 2, drawn, w)
    found |= scores.of_probabilities(probabilities, labels, drawn, w)
    for name, value in expected.items():
        # The one resample is the sample itself: both ends are what the resampling computes.
        assert found[name] == pytest.approx((value, value, value), abs=1e-12), name
    assert set(found) - set(expected) == {'ece'}


def test_scores_of_several_classes_are_those_of_scikit_learn() -> None:
    probabilities, labels = made_up(classes=4)
    decided, ones = probabilities.argmax(1), np.ones((1, len(labels)))
    one_hot = np.eye(4)[labels]
    expected = {
        'accuracy': metrics.accuracy_score(labels, decided),
        'balanced_accuracy': metrics.balanced_accuracy_score(labels, decided),
        'f1': metrics.f1_score(labels, decided, average='macro'),
        'mcc': metrics.matthews_corrcoef(labels, decided),
        'auroc': metrics.roc_auc_score(labels, probabilities, multi_class='ovr'),
        'average_precision': metrics.average_precision_score(one_hot, probabilities),
        'brier': ((probabilities - one_hot) ** 2).sum(1).mean(),
    }
    found = scores.of_decisions(decided, labels, 4, ones)
    found |= scores.of_probabilities(probabilities, labels, ones)
    for name, value in expected.items():
        assert found[name] == pytest.approx((value, value, value), abs=1e-12), name


@pytest.mark.parametrize(('classes', 'task'), [(2, 'binary-class'), (4, 'multi-class')])
def test_medmnists_evaluator_agrees(classes: int, task: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):  # it misses torch, aloud
        from medmnist.evaluator import getACC, getAUC
    probabilities, labels = made_up(classes=classes)
    given = probabilities[:, 1] if classes == 2 else probabilities
    ones = np.ones((1, len(labels)))
    assert getAUC(labels[:, None], given, task) == pytest.approx(
        scores.of_probabilities(probabilities, labels, ones)['auroc'].value, abs=1e-12
    )
    assert getACC(labels[:, None], given, task) == pytest.approx(
        scores.of_decisions(probabilities.argmax(1), labels, classes, ones)['accuracy'].value
    )


def test_a_temperature_changes_the_order_of_more_than_two_classes_alone() -> None:
    rng = np.random.default_rng(2)
    for classes in (2, 3):
        labels = rng.integers(0, classes, 60)
        logits = rng.normal(size=(60, classes)) + 2 * np.eye(classes)[labels]
        raw, warm = (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (logits, 3 * logits))
        ones = np.ones((1, 60))
        plain, both = (
            scores.of_probabilities(warm, labels, ones, raw=given) for given in (None, raw)
        )
        same = plain['auroc'].value == pytest.approx(both['auroc'].value, abs=1e-12)
        assert same == (classes == 2)
        wanted = scores.of_probabilities(raw, labels, ones)
        for name in ('auroc', 'average_precision'):
            assert both[name] == wanted[name]
        for name in ('brier', 'ece'):
            assert both[name] == plain[name] != wanted[name]


def test_intervals_are_those_of_resampling_by_hand() -> None:
    probabilities, labels = made_up(80)
    decided = probabilities.argmax(1)
    drawn = statistics.drawn(labels, 50, 3, None)
    by_hand: dict[str, list[float]] = {'auroc': [], 'average_precision': [], 'mcc': []}
    for counts in drawn.astype(int):
        rows = np.repeat(np.arange(80), counts)
        y, p = labels[rows], probabilities[rows, 1]
        by_hand['auroc'].append(metrics.roc_auc_score(y, p))
        by_hand['average_precision'].append(metrics.average_precision_score(y, p))
        by_hand['mcc'].append(metrics.matthews_corrcoef(y, decided[rows]))
    found = scores.of_probabilities(probabilities, labels, drawn)
    found |= scores.of_decisions(decided, labels, 2, drawn)
    for name, values in by_hand.items():
        assert found[name][1:] == pytest.approx(np.percentile(values, [2.5, 97.5])), name


@pytest.mark.parametrize('each', [1, 3])
def test_a_rate_of_one_is_not_certain(each: int) -> None:
    """No resample of ten patients who are found has one who is missed."""
    patients = np.repeat(np.arange(20), each)
    labels = patients % 2
    decided = np.where(patients == 0, 1, labels)
    drawn = statistics.drawn(labels, 200, 0, patients)
    found = scores.of_decisions(decided, labels, 2, drawn)
    for name, units in (('sensitivity', 10), ('npv', 9)):
        assert found[name] == pytest.approx((1, 0.025 ** (1 / units), 1))
    assert found['specificity'].value == pytest.approx(0.9)
    assert found['specificity'].low < 0.8 and found['specificity'].high == 1
    wrong = scores.of_decisions(1 - labels, labels, 2, drawn)
    for name, units in (('accuracy', 20), ('ppv', 10)):
        assert wrong[name] == pytest.approx((0, 0, 1 - 0.025 ** (1 / units)))


def test_intervals_by_patient_are_wider_where_patients_repeat() -> None:
    probabilities, labels = made_up(100)
    many, of = np.repeat(probabilities, 4, 0), np.repeat(labels, 4)
    patients = np.repeat(np.arange(100), 4)

    def width(groups: np.ndarray | None) -> float:
        drawn = statistics.drawn(of, 500, 0, groups)
        score = scores.of_probabilities(many, of, drawn)['auroc']
        return score.high - score.low

    # Four copies carry the information of one: by images the interval is half as wide as it should.
    assert width(patients) / width(None) == pytest.approx(2, rel=0.25)


def test_what_is_undefined_is_nan_and_none_in_json() -> None:
    labels = np.array([0, 1, 1])
    found = scores.of_decisions(np.zeros(3, int), labels, 2, np.ones((4, 3)))
    assert np.isnan(found['ppv'].value) and found['mcc'].value == 0
    assert scores.to_json(found)['ppv'] == {'value': None, 'low': None, 'high': None}
    assert found['npv'].value == pytest.approx(1 / 3)


@pytest.mark.parametrize('decided', [0, 1])
def test_with_one_decision_mcc_is_zero_at_every_prevalence(decided: int) -> None:
    """Weights that are no whole numbers round, and may leave the root of a negative number."""
    labels = np.r_[np.zeros(234, int), np.ones(390, int)]
    for prevalence in (0.017, 0.05, 0.14, 0.187, 0.239):
        drawn = scores.at_prevalence(np.ones((1, len(labels))), labels, prevalence)
        found = scores.of_decisions(np.full(len(labels), decided), labels, 2, drawn, drawn[0])
        assert found['mcc'] == (0, 0, 0)


def test_at_a_prevalence_ppv_is_that_of_bayes() -> None:
    probabilities, labels = made_up(1000)
    weights = scores.at_prevalence(np.ones((1, 1000)), labels, 0.05)[0]
    found = scores.of_decisions(probabilities.argmax(1), labels, 2, np.ones((1, 1000)), weights)
    sensitivity, specificity = found['sensitivity'].value, found['specificity'].value
    alarms = 0.05 * sensitivity + 0.95 * (1 - specificity)
    assert found['ppv'].value == pytest.approx(0.05 * sensitivity / alarms)
    assert np.average(labels, weights=weights) == pytest.approx(0.05)


def test_every_resample_has_the_prevalence() -> None:
    """Who calls everybody ill is right on just as many."""
    _, labels = made_up(100)
    drawn = scores.at_prevalence(statistics.drawn(labels, 50, 0, None), labels, 0.1)
    found = scores.of_decisions(np.ones(100, int), labels, 2, drawn)
    assert found['ppv'][1:] == found['accuracy'][1:] == pytest.approx((0.1, 0.1))
