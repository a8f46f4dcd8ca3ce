"""The report: whole, closed to the outside, and with the numbers of the stored predictions."""

import base64
import html.parser
import pathlib
import shutil
import statistics
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sklearn

from pneumo_jax import errors, trained
from pneumo_jax.evaluation import metrics
from pneumo_jax.reporting import report
from pneumo_jax.training import workdir

RUNS = ('one', 'several', 'classes')


class Reader(html.parser.HTMLParser):
    """The tags that are open, everything that is referred to, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.text = ''
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ('img', 'meta'):
            self.open.append(tag)
        for name, value in attributes:
            assert not name.startswith('on'), f'{tag} has {name}'
            if name in ('src', 'href', 'data', 'action', 'srcset'):
                self.references.append(str(value))
            if name == 'id':
                self.ids.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(folder: pathlib.Path) -> Reader:
    return Reader((folder / 'report' / report.PAGE).read_text())


def scores(run: pathlib.Path) -> dict[str, float]:
    """scikit-learn's, of what the run stored."""
    with np.load(run / 'predictions_test.npz') as file:
        probabilities, labels = metrics.softmax(file['logits']), file['labels']
    decided = probabilities.argmax(1)
    if probabilities.shape[1] > 2:
        return {
            'AUROC': sklearn.roc_auc_score(labels, probabilities, multi_class='ovr'),
            'accuracy': sklearn.accuracy_score(labels, decided),
        }
    return {
        'AUROC': sklearn.roc_auc_score(labels, probabilities[:, 1]),
        'accuracy': sklearn.accuracy_score(labels, decided),
        'sensitivity': sklearn.recall_score(labels, decided),
        'specificity': sklearn.recall_score(labels, decided, pos_label=0),
    }


@pytest.mark.parametrize('name', RUNS)
def test_the_page_is_whole_and_refers_to_nothing_outside(folder: pathlib.Path, name: str) -> None:
    page = read(folder / name)
    assert page.open == []
    assert not {'script', 'link', 'iframe', 'object', 'base', 'form'} & set(page.tags)
    assert {'img', 'table', 'h2'} <= set(page.tags)
    inner = [reference for reference in page.references if reference.startswith('#')]
    assert {reference[1:] for reference in inner} == set(page.ids)
    others = set(page.references) - set(inner)
    begins = {'data:image/png': b'\x89PNG', 'data:image/svg+xml': b'<?xml'}
    for kind, content in (other.split(';base64,') for other in others):
        assert base64.b64decode(content).startswith(begins[kind])
    source = (folder / name / 'report' / report.PAGE).read_text()
    assert "default-src 'none'" in source
    assert 'url(' not in source and '@import' not in source


@pytest.mark.parametrize('name', RUNS)
def test_numbers_are_those_of_the_stored_predictions(folder: pathlib.Path, name: str) -> None:
    page = read(folder / name).text
    card = (folder / name / 'report' / report.CARD).read_text()
    for metric, value in scores(folder / name).items():
        assert f'{metric} {value:.3f} [' in page
        assert f'{metric} {value:.3f} \\[' in card
    assert 'n = ' in page
    with np.load(folder / name / 'predictions_test.npz') as file:
        wrong = file['logits'].argmax(1) != file['labels']
    assert f'{wrong.sum()} of {len(wrong)} test images are given to a wrong class' in page
    assert ('ROC and precision-recall' in page) == (name != 'classes')
    of = 'the true class' if name == 'classes' else trained.load(folder / name).classes[1]
    assert f'Images by the probability of {of}, a row' in page


def test_names_from_data_are_text(folder: pathlib.Path) -> None:
    place = folder / 'classes/report'
    assert '<img src=x' not in (place / report.PAGE).read_text()
    assert '<img src=x onerror=y>' in read(folder / 'classes').text
    card = (place / report.CARD).read_text().split('---\n', 2)[2]
    assert '<img' not in card
    assert 'a\\|b \\*c\\*' in card


@pytest.mark.parametrize('name', RUNS)
def test_every_figure_is_there_twice(folder: pathlib.Path, name: str) -> None:
    files = sorted((folder / name / 'report/figures').iterdir())
    stems = {path.stem for path in files}
    assert {path.name for path in files} == {f'{s}{e}' for s in stems for e in ('.png', '.svg')}
    common = {'samples', 'learning_curves_1', 'confusion_test', 'reliability_val', 'conformal_test'}
    assert common <= stems
    assert ('roc_pr_test' in stems) == (name != 'classes')
    wrong = scores(folder / name)['accuracy'] < 1
    assert ('mistakes' in stems) == wrong
    assert ('The wrong answers given with the highest' in read(folder / name).text) == wrong
    for path in files:
        if path.suffix == '.png':
            with Image.open(path) as image:
                image.load()
        else:
            assert ElementTree.parse(path).getroot().tag.endswith('}svg')


def test_several_seeds_have_a_table_of_each_their_mean_and_the_ensemble(
    folder: pathlib.Path,
) -> None:
    page = read(folder / 'several').text
    own = [scores(folder / f'several/seed-{seed}') for seed in (0, 1)]
    for seed, of_seed in enumerate(own):
        assert f'several/seed-{seed}{of_seed["AUROC"]:.3f}{of_seed["accuracy"]:.3f}' in page
    aurocs = [of_seed['AUROC'] for of_seed in own]
    assert f'mean, sd{statistics.mean(aurocs):.3f}, {statistics.stdev(aurocs):.3f}' in page
    assert f'ensemble{scores(folder / "several")["AUROC"]:.3f} [' in page
    assert 'Each member' not in read(folder / 'one').text


def test_coverage_on_test_is_what_the_sets_reach(folder: pathlib.Path) -> None:
    from pneumo_jax.reporting import facts, words

    found = facts.gather_facts([folder / 'one'], folder)
    probabilities, labels = found.probabilities('test'), found.seen['test'].labels
    limits = np.array(found.fitted.limits)
    held = probabilities >= limits
    held |= ~held.any(1, keepdims=True)
    page = read(folder / 'one').text
    for label, name in enumerate(found.loaded.classes):
        reached = held[labels == label, label].mean()
        assert words.coverage(found, 'test')[name]['value'] == pytest.approx(reached)
        assert f'{name} {reached:.1%} (' in page


def test_a_fit_that_lies_where_the_report_goes_is_read(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """An ensemble's lies nowhere else."""
    from pneumo_jax.evaluation import evaluate
    from pneumo_jax.reporting import facts

    runs = [folder / 'one', folder / 'several']
    evaluate.evaluate(runs, tmp_path, split='val', alpha=0.2, sensitivity=0.8)
    found = facts.gather_facts(runs, tmp_path)
    assert (found.fitted.alpha, found.fitted.sensitivity) == (0.2, 0.8)
    assert facts.gather_facts(runs, tmp_path / 'other').fitted.alpha == 0.1


def test_a_report_is_no_scoring_of_test(folder: pathlib.Path) -> None:
    for name in RUNS:
        assert workdir.times_scored(folder / name, 'test') == 1
        assert 'The run has scored test once.' in read(folder / name).text


def test_what_cannot_be_reported_is_told(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.UserError, match='no run folder'):
        report.write([tmp_path], tmp_path / 'out')
    shutil.copytree(folder / 'one', tmp_path / 'run')
    (tmp_path / 'run/results.json').unlink()
    with pytest.raises(errors.UserError, match='not finished'):
        report.write([tmp_path / 'run'], tmp_path / 'out')
    with pytest.raises(errors.UserError, match='make no ensemble'):
        report.write([folder / 'one', folder / 'classes'], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'file').touch()
    with pytest.raises(errors.UserError, match='give --out'):
        report.write([folder / 'one'], tmp_path / 'file')


def test_members_are_in_the_order_of_the_models(folder: pathlib.Path) -> None:
    from pneumo_jax.reporting import facts

    found = facts.gather_facts([folder / 'several'], folder)
    images = found.seen['test'].images
    np.testing.assert_allclose(found.loaded.each(images), found.seen['test'].members, atol=1e-5)
    again, _ = trained.predictions([folder / 'several'], 'test')
    np.testing.assert_allclose(
        metrics.softmax(found.seen['test'].logits), metrics.softmax(again[0]), atol=1e-6
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere'], 'no run folder'),
        (['nowhere', '--with', 'other'], 'give one with --out'),
        (['nowhere', '--outt', 'x'], 'did you mean'),
    ],
)
def test_mistakes_are_one_line(
    door: object, folder: pathlib.Path, arguments: list[str], message: str
) -> None:
    done = door('pneumo_jax', 'report', *arguments)  # type: ignore[operator]
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_browser_shows_it(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if not browser or sys.platform != 'linux':
        pytest.skip('no chromium here')
    quiet = ['background-networking', 'component-update', 'sync', 'gpu', 'quic']
    options = ['--headless', '--no-sandbox', '--no-first-run', f'--user-data-dir={tmp_path}/user']
    done = subprocess.run(
        [
            browser,
            *options,
            *(f'--disable-{name}' for name in quiet),
            f'--screenshot={tmp_path}/page.png',
            '--window-size=400,1500',
            (folder / 'classes/report' / report.PAGE).resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    with Image.open(tmp_path / 'page.png') as image:
        shown = np.asarray(image.convert('L'))
    assert shown.shape == (1500, 400), done.stderr
    assert len(np.unique(shown)) > 30
