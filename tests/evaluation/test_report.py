import warnings

import numpy as np
import pytest
import sklearn.metrics

from pneumo_jax.evaluation import report


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def draw(classes: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels], labels


def test_two_classes_by_hand():
    logits = np.array([[2, 0], [0, 1], [0, 2], [0, 3], [3, 0], [0, 4]], np.float32)
    labels = np.array([0, 0, 1, 1, 1, 1])
    text = report.text('Test report: tiny (test, 6 images)', logits, labels, ('Normal', 'Ill'))
    assert text.startswith('Test report: tiny (test, 6 images)\n=====')
    lines = text.splitlines()
    assert 'Test Accuracy: 66.67%' in lines
    # Log-odds of Ill are 2, 3, -3 and 4 against -2 and 1: six of the eight pairs are in order.
    assert 'AUROC              0.7500     (Ill is positive)' in lines
    assert 'Sensitivity        0.7500     (Ill is positive)' in lines
    assert 'Specificity        0.5000     (Ill is positive)' in lines
    assert 'Balanced accuracy  0.6250     (mean recall over classes)' in lines
    assert lines[-3:] == [
        '        Normal     Ill',
        'Normal       1       1',
        'Ill          1       3',
    ]


@pytest.mark.parametrize('classes', [2, 5])
def test_holds_the_classification_report_as_scikit_learn_prints_it(classes):
    logits, labels = draw(classes)
    names = [f'class {i}' for i in range(classes)]
    expected = sklearn.metrics.classification_report(labels, logits.argmax(1), target_names=names)
    assert expected in report.text('Title', logits, labels, names)


def test_absent_predictions_and_labels_leave_zeros_and_no_warning():
    logits = np.tile([0.0, 1.0, 0.0], (4, 1))
    text = report.text('Title', logits, np.ones(4, int), ('a', 'b', 'c'))
    assert 'AUROC              undefined' in text
    assert 'Sensitivity        1.0000' in text
    rows = [line.split() for line in text.splitlines()]
    assert ['a', '0.00', '0.00', '0.00', '0'] in rows
    assert ['b', '1.00', '1.00', '1.00', '4'] in rows


def test_long_class_names_keep_the_matrix_aligned():
    logits, labels = draw(3)
    names = ('actinic keratoses and carcinoma', 'melanoma', 'x')
    lines = report.text('Title', logits, labels, names).splitlines()[-4:]
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ['actinic', 'kerat…', 'melanoma', 'x']
    assert lines[1].startswith('actinic keratoses and carcinoma  ')
