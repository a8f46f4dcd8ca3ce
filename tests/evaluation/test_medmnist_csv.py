"""MedMNIST's own Evaluator reads our result files back, in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from pneumo_jax.evaluation import medmnist_csv, metrics

# MedMNIST looks for its files in ~/.medmnist, and prints to stdout, hence the last line.
READ_BACK = """
import json, sys
from medmnist.evaluator import Evaluator
print()
print(json.dumps([Evaluator.parse_and_evaluate(path) for path in sys.argv[1:]]))
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / 'home/.medmnist').mkdir(parents=True)
    (tmp_path / 'results').mkdir()
    return tmp_path / 'home'


def store(home, name, labels):
    np.savez(home / '.medmnist' / name, test_labels=labels[:, None].astype(np.uint8))


def read_back(home, paths) -> list[list[float]]:
    done = subprocess.run(
        [sys.executable, '-c', READ_BACK, *map(str, paths)],
        env={**os.environ, 'HOME': str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def check(home, results):
    """The Evaluator finds our AUC and ACC, and would give every file the name that we gave it."""
    folder = home.parent / 'results'
    paths = [
        medmnist_csv.write(folder, flag, size, 'test', logits, labels, f'run{i}')
        for i, (flag, size, logits, labels) in enumerate(results)
    ]
    for (_, _, logits, labels), (auc, acc) in zip(results, read_back(home, paths), strict=True):
        scores = metrics.classification(logits, labels)
        assert auc == pytest.approx(scores['auroc'], abs=1e-12)
        assert acc == pytest.approx(scores['accuracy'], abs=1e-12)
    # parse_and_evaluate writes the scores again, under the name it makes of its own AUC and ACC.
    assert sorted(folder.iterdir()) == sorted(paths)


def variants(labels, classes) -> list[np.ndarray]:
    """Logits: random, good, saturated, tied at equal probabilities, and a hair around them."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(labels), classes)).astype(np.float32)
    good = noise + 2 * np.eye(classes, dtype=np.float32)[labels]
    return [noise, good, 12 * good, np.round(good), noise * np.float32(1e-7)]


def test_two_and_five_classes_read_back(home):
    results = []
    for flag, classes in (('pneumoniamnist', 2), ('retinamnist', 5)):
        labels = np.random.default_rng(1).integers(0, classes, 400)
        store(home, f'{flag}.npz', labels)
        store(home, f'{flag}_64.npz', labels)
        logits = variants(labels, classes)
        results += [(flag, 28, scored, labels) for scored in logits]
        results.append((flag, 64, logits[1], labels))
    check(home, results)


def test_real_labels_read_back(home):
    source = pathlib.Path(os.environ.get('PNEUMO_JAX_DATA', '')) / 'pneumoniamnist.npz'
    if not source.is_file():
        pytest.skip('needs pneumoniamnist.npz in the folder PNEUMO_JAX_DATA')
    (home / '.medmnist/pneumoniamnist.npz').symlink_to(source.resolve())
    with np.load(source, allow_pickle=False) as file:
        labels = file['test_labels'][:, 0].astype(np.int64)
    assert len(labels) == 624
    check(home, [('pneumoniamnist', 28, logits, labels) for logits in variants(labels, 2)])


def test_the_file_by_hand(tmp_path):
    logits = np.log(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]))
    path = medmnist_csv.write(
        tmp_path, 'breastmnist', 128, 'val', logits, np.array([0, 1, 1]), 'vit.s16/seed 3'
    )
    assert path.name == 'breastmnist_128_val_[AUC]1.000_[ACC]0.667@vit-s16-seed-3.csv'
    assert list(tmp_path.iterdir()) == [path]
    lines = [line.split(',') for line in path.read_text().splitlines()]
    assert [line[0] for line in lines] == ['0', '1', '2']
    assert lines[1][1:] == ['0.5', '0.5']
    scores = np.array([line[1:] for line in lines], np.float64)
    np.testing.assert_array_equal(scores, metrics.softmax(logits))
    np.testing.assert_allclose(scores[:, 1], [0.25, 0.5, 0.75], rtol=1e-15)


def test_the_order_of_images_is_kept_and_28_px_has_no_size(tmp_path):
    logits = np.random.default_rng(0).normal(size=(50, 5))
    labels = np.arange(50) % 5
    path = medmnist_csv.write(tmp_path, 'retinamnist', 28, 'train', logits, labels, '1')
    assert path.name.startswith('retinamnist_train_[AUC]0.')
    assert path.name.endswith('@1.csv')
    table = np.loadtxt(path, delimiter=',')
    np.testing.assert_array_equal(table[:, 0], np.arange(50))
    np.testing.assert_array_equal(table[:, 1:].argmax(1), logits.argmax(1))
