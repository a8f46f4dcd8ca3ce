import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn.metrics

from pneumo_jax.errors import UserError
from pneumo_jax.evaluation import metrics

KEYS = ['accuracy', 'auroc', 'sensitivity', 'specificity', 'balanced_accuracy', 'loss', 'n']


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def draw(seed: int, classes: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def test_two_classes_by_hand():
    # P(class 1) is .9, .6, .4, .3 for labels 1, 0, 1, 0: three of the four pairs are in order.
    positive = np.array([0.9, 0.6, 0.4, 0.3])
    logits = np.log(np.stack([1 - positive, positive], axis=1))
    scores = metrics.classification(logits, np.array([1, 0, 1, 0]))
    assert list(scores) == KEYS
    assert scores['accuracy'] == 0.5
    assert scores['auroc'] == 0.75
    assert scores['sensitivity'] == 0.5
    assert scores['specificity'] == 0.5
    assert scores['balanced_accuracy'] == 0.5
    assert scores['loss'] == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.7]).mean(), abs=1e-12)
    assert scores['n'] == 4


@pytest.mark.parametrize('seed', range(3))
def test_two_classes_against_scikit_learn(seed):
    logits, labels = draw(seed, 2)
    labels[:60] = 1
    wide = logits.astype(np.float64)
    positive = 1 / (1 + np.exp(wide[:, 0] - wide[:, 1]))
    predicted = (positive > 0.5).astype(int)
    scores = metrics.classification(logits, labels)
    expected = {
        'accuracy': sklearn.metrics.accuracy_score(labels, predicted),
        'auroc': sklearn.metrics.roc_auc_score(labels, positive),
        'sensitivity': sklearn.metrics.recall_score(labels, predicted, pos_label=1),
        'specificity': sklearn.metrics.recall_score(labels, predicted, pos_label=0),
        'balanced_accuracy': sklearn.metrics.balanced_accuracy_score(labels, predicted),
        'loss': sklearn.metrics.log_loss(labels, positive),
        'n': 300,
    }
    assert scores == pytest.approx(expected, abs=1e-12)
    assert scores['sensitivity'] != scores['specificity']


def test_five_classes_against_scikit_learn():
    logits, labels = draw(0, 5)
    wide = logits.astype(np.float64)
    probabilities = np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    predicted = logits.argmax(1)
    negatives = [
        sklearn.metrics.recall_score(labels == i, predicted == i, pos_label=False) for i in range(5)
    ]
    expected = {
        'accuracy': sklearn.metrics.accuracy_score(labels, predicted),
        'auroc': sklearn.metrics.roc_auc_score(labels, probabilities, multi_class='ovr'),
        'sensitivity': sklearn.metrics.recall_score(labels, predicted, average='macro'),
        'specificity': np.mean(negatives),
        'balanced_accuracy': sklearn.metrics.balanced_accuracy_score(labels, predicted),
        'loss': sklearn.metrics.log_loss(labels, probabilities),
        'n': 300,
    }
    assert metrics.classification(logits, labels) == pytest.approx(expected, abs=1e-12)


def test_equal_logits_mean_class_0_and_half_an_auroc():
    scores = metrics.classification(np.zeros((4, 2), np.float32), np.array([0, 0, 0, 1]))
    assert metrics.softmax(np.zeros((1, 2))).tolist() == [[0.5, 0.5]]
    assert scores['accuracy'] == 0.75
    assert scores['auroc'] == 0.5
    assert scores['sensitivity'] == 0
    assert scores['specificity'] == 1
    assert scores['loss'] == pytest.approx(math.log(2), abs=1e-15)


def test_ties_count_half():
    logits = np.array([[0, 1], [0, 1], [0, 2], [0, 0]], np.float32)
    # Of the four pairs one is a tie and three are in the wrong order.
    scores = metrics.classification(logits, np.array([1, 0, 0, 1]))
    assert scores['auroc'] == 0.5 / 4


def test_extreme_logits():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, -1e4]], np.float32)
    scores = metrics.classification(logits, np.array([0, 1, 1]))
    assert scores['loss'] == pytest.approx(2e4 / 3)
    assert scores['accuracy'] == pytest.approx(2 / 3)
    assert metrics.softmax(logits).tolist() == [[1, 0], [0, 1], [1, 0]]


def test_a_split_of_one_class():
    logits, _ = draw(0, 2, 10)
    labels = np.ones(10, int)
    scores = metrics.classification(logits, labels)
    recall = float((logits[:, 1] > logits[:, 0]).mean())
    assert math.isnan(scores['auroc'])
    assert math.isnan(scores['specificity'])
    assert scores['sensitivity'] == scores['balanced_accuracy'] == pytest.approx(recall)


def test_an_absent_class_of_five_is_left_out_of_the_averages():
    logits, labels = draw(1, 5)
    labels[labels == 3] = 4
    present = [0, 1, 2, 4]
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(1, keepdims=True)
    areas = [sklearn.metrics.roc_auc_score(labels == i, probabilities[:, i]) for i in present]
    recalls = [(logits.argmax(1)[labels == i] == i).mean() for i in present]
    scores = metrics.classification(logits, labels)
    assert scores['auroc'] == pytest.approx(np.mean(areas), abs=1e-12)
    assert scores['sensitivity'] == pytest.approx(np.mean(recalls), abs=1e-12)
    assert scores['balanced_accuracy'] == pytest.approx(np.mean(recalls), abs=1e-12)


def test_one_class_of_five_has_no_auroc():
    logits, _ = draw(0, 5, 10)
    assert math.isnan(metrics.classification(logits, np.full(10, 2))['auroc'])


def test_an_empty_split_has_no_scores():
    scores = metrics.classification(np.zeros((0, 2)), np.zeros(0, int))
    assert scores.pop('n') == 0
    assert all(math.isnan(score) for score in scores.values())


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    logits, labels = draw(0, 2, 10)
    logits[4, 1] = bad
    with pytest.raises(UserError, match='1 of 10 images are NaN or infinite'):
        metrics.classification(logits, labels)


def test_confusion_matrix_against_scikit_learn():
    # 19 * 20 + 19 does not fit the bytes that MedMNIST's labels are.
    logits, labels = draw(2, 20)
    matrix = metrics.confusion_matrix(logits, labels.astype(np.uint8))
    expected = sklearn.metrics.confusion_matrix(labels, logits.argmax(1))
    np.testing.assert_array_equal(matrix, expected)


def test_importing_the_module_stays_cheap():
    code = 'import sys, pneumo_jax.evaluation.metrics; print({"sklearn", "jax"} & set(sys.modules))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'set()'
