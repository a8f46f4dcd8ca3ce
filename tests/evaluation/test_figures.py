import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import canvas
from pneumo_jax.evaluation import figures

TITLE = 'Synthetic data 28 px'
KEYS = ('train_loss', 'train_accuracy', 'val_loss', 'val_accuracy', 'val_auroc')


@pytest.fixture(autouse=True)
def no_warnings():
    # matplotlib warns of what does not fit and of letters that its font lacks.
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


@pytest.fixture
def drawn(monkeypatch):
    """The figures as matplotlib objects, in the order they were saved."""
    kept = []
    save = canvas.save
    monkeypatch.setattr(canvas, 'save', lambda fig, path: (kept.append(fig), save(fig, path)))
    return kept


def draw(classes: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def names(classes: int) -> list[str]:
    return [f'a rather long class name {i}' for i in range(classes)]


def check(path, figure):
    """A whole PNG with more than a blank page, its title, and no temporary file beside it."""
    with Image.open(path) as image:
        image.load()
        assert image.format == 'PNG'
        assert min(image.size) > 300
        assert len(np.unique(np.asarray(image.convert('L')))) > 10
    assert figure.get_suptitle() == TITLE
    assert list(path.parent.iterdir()) == [path]


def test_learning_curves_show_every_epoch(tmp_path, drawn):
    history = [{'epoch': i, **dict.fromkeys(KEYS, i / 10)} for i in range(1, 6)]
    history[0]['val_auroc'] = None
    del history[1]['val_loss']
    figures.learning_curves(history, TITLE, tmp_path / 'curves.png')
    check(tmp_path / 'curves.png', drawn[0])
    loss, accuracy = drawn[0].axes
    lines = {line.get_label(): line for line in accuracy.lines}
    assert [line.get_label() for line in loss.lines] == ['train', 'val']
    assert list(lines) == ['train accuracy', 'val accuracy', 'val AUROC']
    np.testing.assert_array_equal(lines['val accuracy'].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(lines['val AUROC'].get_ydata(), [np.nan, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), [0.1, np.nan, 0.3, 0.4, 0.5])


def test_learning_curves_of_one_epoch_show_a_marker(tmp_path, drawn):
    row = {'epoch': 1, **dict.fromkeys(KEYS, 0.5), 'val_auroc': None}
    figures.learning_curves([row], TITLE, tmp_path / 'curves.png')
    check(tmp_path / 'curves.png', drawn[0])
    lines = [line for axes in drawn[0].axes for line in axes.lines]
    assert [line.get_marker() for line in lines] == ['o'] * 4


def test_learning_curves_of_a_diverged_run(tmp_path, drawn):
    row = {'epoch': 1, **dict.fromkeys(KEYS, float('nan'))}
    figures.learning_curves([row], TITLE, tmp_path / 'curves.png')
    check(tmp_path / 'curves.png', drawn[0])


def test_roc_of_two_classes_has_a_curve_per_split_and_the_operating_point(tmp_path, drawn):
    positive = np.array([0.9, 0.6, 0.55, 0.3, 0.2])
    logits = np.log(np.stack([1 - positive, positive], axis=1))
    test = logits, np.array([1, 0, 1, 0, 0])
    figures.roc({'val': draw(2), 'test': test}, ('Normal', 'Ill'), TITLE, tmp_path / 'roc.png')
    check(tmp_path / 'roc.png', drawn[0])
    axes = drawn[0].axes[0]
    legend = axes.get_legend()
    assert legend.get_title().get_text() == 'Ill against Normal'
    assert legend.get_texts()[1].get_text() == 'test, AUROC 0.833'
    curve = next(line for line in axes.lines if line.get_label() == 'test, AUROC 0.833')
    corners = list(zip(*curve.get_data(), strict=True))
    assert np.array(corners) == pytest.approx(
        np.array([(0, 0), (0, 1 / 2), (1 / 3, 1 / 2), (1 / 3, 1), (1, 1)])
    )
    points = [line.get_data() for line in axes.lines if line.get_marker() == 'o']
    # Of val, of test, and the legend's, which is nowhere.
    assert [len(x) for x, _ in points] == [1, 1, 0]
    assert np.ravel(points[1]) == pytest.approx([1 / 3, 1])


@pytest.mark.parametrize('classes', [5, 11])
def test_roc_of_many_classes_has_distinct_curves_of_the_last_split(tmp_path, drawn, classes):
    splits = {'val': draw(classes, 90), 'test': draw(classes)}
    figures.roc(splits, names(classes), TITLE, tmp_path / 'roc.png')
    check(tmp_path / 'roc.png', drawn[0])
    axes = drawn[0].axes[0]
    curves = [line for line in axes.lines if 'AUROC' in line.get_label()]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == classes
    assert axes.get_legend().get_title().get_text().startswith('test, one class against')


def test_roc_leaves_out_what_the_labels_leave_undefined(tmp_path, drawn):
    logits, _ = draw(2)
    splits = {'val': (logits, np.ones(200, int)), 'test': draw(2)}
    figures.roc(splits, ('Normal', 'Ill'), TITLE, tmp_path / 'roc.png')
    check(tmp_path / 'roc.png', drawn[0])
    labels = [line.get_label() for line in drawn[0].axes[0].lines]
    assert not any(label.startswith('val') for label in labels)
    assert any(label.startswith('test') for label in labels)


@pytest.mark.parametrize('classes', [2, 5, 11])
def test_confusion_shows_counts_and_shares_of_the_row(tmp_path, drawn, classes):
    logits = np.eye(classes)[[0, 0, 0, 1, 1]]
    labels = np.array([0, 0, 0, 0, 1])
    figures.confusion(logits, labels, names(classes), TITLE, tmp_path / 'matrix.png')
    check(tmp_path / 'matrix.png', drawn[0])
    cells = [text.get_text() for text in drawn[0].axes[0].texts]
    assert len(cells) == classes**2
    assert cells[:2] == ['3\n75%', '1\n25%']
    assert cells[classes : classes + 2] == ['0', '1\n100%']


@pytest.mark.parametrize('channels', [1, 3])
def test_samples_show_the_first_images_with_the_last_class_on_top(tmp_path, drawn, channels):
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (28, 28, channels), np.uint8
    )
    labels = np.arange(40) % 2
    figures.samples(images, labels, ('Normal', 'Pneumonia'), TITLE, tmp_path / 'samples.png')
    check(tmp_path / 'samples.png', drawn[0])
    axes = drawn[0].axes
    assert [one.get_title() for one in axes] == ['Pneumonia'] * 5 + ['Normal'] * 5
    values = [int(one.images[0].get_array().flat[0]) for one in axes]
    assert values == [1, 3, 5, 7, 9, 0, 2, 4, 6, 8]
    assert {one.images[0].get_clim() for one in axes} == {(0, 255)}


def test_samples_of_small_and_absent_classes(tmp_path, drawn):
    images = np.zeros((3, 30, 20, 1), np.uint8)
    images[:, 10:20] = 200
    figures.samples(images, np.array([0, 2, 2]), names(3), TITLE, tmp_path / 'samples.png')
    shown = [one.get_title() for one in drawn[0].axes if one.images]
    assert shown == [names(3)[2][:21] + '…'] * 2 + [names(3)[0][:21] + '…']


def test_long_titles_are_broken_and_not_clipped(tmp_path, drawn):
    title = (
        'PneumoniaMNIST-224 (rebuilt), patient-disjoint validation split, seed 0' + ', and more' * 8
    )
    figures.confusion(*draw(2), names(2), title, tmp_path / 'matrix.png')
    assert drawn[0].get_suptitle().replace('\n', ' ') == title.strip()
    # A page is cut to what is on it: a title too long for its page would have widened it.
    with Image.open(tmp_path / 'matrix.png') as image:
        assert image.width <= 150 * (drawn[0].get_figwidth() + 0.2)


def test_a_failed_write_leaves_the_old_figure(tmp_path, monkeypatch):
    path = tmp_path / 'matrix.png'
    path.write_bytes(b'old')

    def full(self, file, **_):
        file.write_bytes(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr('matplotlib.figure.Figure.savefig', full)
    with pytest.raises(OSError, match='No space'):
        figures.confusion(*draw(2), names(2), TITLE, path)
    assert path.read_bytes() == b'old'


def test_no_pyplot_and_a_cheap_import(tmp_path):
    code = (
        'import sys, pathlib, numpy\n'
        'from pneumo_jax.evaluation import figures\n'
        'assert not {"matplotlib", "sklearn"} & set(sys.modules)\n'
        f'path = pathlib.Path({str(tmp_path)!r}) / "matrix.png"\n'
        'figures.confusion(numpy.eye(2), numpy.array([0, 1]), "ab", "title", path)\n'
        'assert "matplotlib.pyplot" not in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
