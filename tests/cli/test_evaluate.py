"""`evaluate` and `compare`: the fit, the numbers, the files, and what is refused."""

import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from pneumo_jax import cli, config, data, doors, errors, run, trained
from pneumo_jax.evaluation import fitted, metrics

ROOT = pathlib.Path(__file__).parent.parent.parent
FIGURES = {'conformal', 'rejection', 'reliability', 'roc_pr', 'scores'}

Enter = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Two runs: of a net without dropout, and of two seeds of one with it."""
    folder = tmp_path_factory.mktemp('evaluated')
    for page, seeds in (('cnn', '1'), ('cnn_bn_dropout', '2')):
        asked = config.load(f'{ROOT}/configs/{page}.py:smoke', {'seeds': seeds})
        run.run(asked, folder / page)
    return folder


@pytest.fixture
def enter(capfd: pytest.CaptureFixture[str]) -> Enter:
    """Go through the door in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = doors.enter(cli.main, [str(word) for word in arguments])
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope='module')
def evaluated(folder: pathlib.Path) -> pathlib.Path:
    argv = ['evaluate', str(folder / 'cnn'), '--prevalence', '0.1', '--sensitivity', '0.8']
    assert doors.enter(cli.main, argv) == 0
    return folder / 'cnn'


def test_the_numbers_are_those_of_the_stored_predictions(evaluated: pathlib.Path) -> None:
    found = json.loads((evaluated / 'evaluation_test.json').read_text())
    (logits,), labels = trained.predictions([evaluated], 'test')
    p = metrics.softmax(logits)[:, 1]
    told = found['decisions']['most probable class']
    assert found['scores']['auroc']['value'] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, p), abs=1e-6
    )
    assert told['mcc']['value'] == pytest.approx(
        sklearn_metrics.matthews_corrcoef(labels, p > 0.5), abs=1e-9
    )
    own = json.loads((evaluated / 'results.json').read_text())['test']
    assert told['specificity']['value'] == pytest.approx(own['specificity'])
    assert found['calibration']['before']['loss'] == pytest.approx(own['loss'], abs=1e-5)
    assert found['data']['images'] == sum(found['data']['classes'].values()) == own['n']
    assert all(s['low'] <= s['value'] <= s['high'] for s in found['scores'].values())


def test_the_fit_is_on_val_alone(evaluated: pathlib.Path) -> None:
    (logits,), labels = trained.predictions([evaluated], 'val')
    found = fitted.read(evaluated, fitted.fingerprints([evaluated]))
    assert found is not None and found.images == len(labels)
    p = found.probabilities(logits)[:, 1]
    assert found.threshold is not None
    reached = (p > found.threshold)[labels == 1].mean()
    assert reached >= 0.8 > (p > np.nextafter(found.threshold, 1) + 0.2)[labels == 1].mean()
    held = found.holds(found.probabilities(logits))
    for label in (0, 1):
        assert held[labels == label, label].mean() >= 1 - found.alpha
    names = found.sets(found.probabilities(logits))
    assert [set(row) for row in names] == [
        {name for name, is_held in zip(found.classes, row, strict=True) if is_held} for row in held
    ]
    assert set(names) <= {('Normal',), ('Pneumonia',), ('Normal', 'Pneumonia')}
    val = data.load(**trained.load(evaluated).records[0]['config']['data']).val.images
    assert found.is_radiograph(val).mean() > 0.9 > found.is_radiograph(255 - val).mean()


def test_everything_is_left_in_the_run_folder(evaluated: pathlib.Path) -> None:
    drawn = {path.name for path in (evaluated / 'evaluation').iterdir()}
    assert drawn == {f'evaluation_test_{name}.png' for name in FIGURES}
    page = (evaluated / 'evaluation_test.md').read_text()
    assert all(f'evaluation/{name}' in page for name in drawn)
    assert '## At a prevalence of 10.0%' in page and 'MCC' in page
    scored = [json.loads(line) for line in (evaluated / 'scored.jsonl').read_text().splitlines()]
    assert [row['split'] for row in scored] == ['test', 'test']  # by the run, and by `evaluate`


def test_an_ensemble_of_runs_and_seeds(
    folder: pathlib.Path, tmp_path: pathlib.Path, enter: Enter
) -> None:
    table = tmp_path / 'patients.csv'
    labels = trained.predictions([folder / 'cnn'], 'test')[1]
    kinds = [('well', 'ill', 'odd')[label + (label and i % 2)] for i, label in enumerate(labels)]
    rows = [f'test,{i},p{i // 2},{kind}' for i, kind in enumerate(kinds)]
    table.write_text('split,index,patient,kind\n' + '\n'.join(rows) + '\n')
    out = tmp_path / 'out'
    arguments = ['evaluate', folder / 'cnn', '--with', folder / 'cnn_bn_dropout']
    code, text, _ = enter(*arguments, '--out', out, '--groups', table)
    assert code == 0
    found = json.loads((out / 'evaluation_test.json').read_text())
    assert found['title'] == 'cnn + cnn_bn_dropout, ensemble of 3'
    assert 'MC dropout: disagreement' in found['uncertainty']
    assert 'ensemble: disagreement' in found['uncertainty']
    assert found['data']['patients'] == -(-len(labels) // 2)
    assert set(found['subgroups']) == {'well', 'ill', 'odd'} and 'odd' in text
    assert set(found['subgroups']['well']['decisions']['operating point']) == {'specificity'}
    members = [folder / 'cnn', folder / 'cnn_bn_dropout']
    assert fitted.read(out, fitted.fingerprints(members)) is not None
    assert fitted.read(out, fitted.fingerprints(members[:1])) is None, 'it is of other weights'
    assert not (folder / 'cnn_bn_dropout/calibration.json').exists()


def test_other_data(evaluated: pathlib.Path, tmp_path: pathlib.Path, enter: Enter) -> None:
    other = data.load(name='synthetic', size=28, seed=7).test
    classes = np.array(['normal', 'pneumonia'])
    given = {'test_images': other.images, 'test_labels': other.labels, 'classes': classes}
    np.savez(tmp_path / 'hospital.npz', **given)
    before = (evaluated / 'scored.jsonl').read_text()
    arguments = ['evaluate', evaluated, '--out', tmp_path / 'out', '--data']
    shutil.copytree(evaluated, tmp_path / 'out')
    code, text, _ = enter(*arguments, tmp_path / 'hospital.npz', '--sensitivity', '0.8')
    assert code == 0 and f'{len(other):,} images' in text and 'hospital.npz' in text
    (report,) = (tmp_path / 'out').glob('evaluation_*_hospital_test.json')
    found = json.loads(report.read_text())
    assert found['fitted']['sensitivity'] == 0.8
    for name in ('calibration.json', 'ood.npz'):  # predictions go by it, and by nothing else
        assert (tmp_path / 'out' / name).read_bytes() == (evaluated / name).read_bytes()
    assert (evaluated / 'scored.jsonl').read_text() == before
    # A table goes by the numbers that the file has, and these need not be the run's.
    turned = {'test_labels': 1 - other.labels, 'classes': classes[::-1]}
    np.savez(tmp_path / 'turned.npz', **{**given, **turned})
    rows = [f'test,{i},p{i // 2},{1 - label}' for i, label in enumerate(other.labels)]
    table = tmp_path / 'table.csv'
    table.write_text('split,index,patient,label\n' + '\n'.join(rows) + '\n')
    code, again, error = enter(*arguments, tmp_path / 'turned.npz', '--groups', table)
    assert code == 0, error
    assert f'{-(-len(other) // 2)} patients' in again
    coloured = np.concatenate([other.images, 255 - other.images, other.images], 3)
    for wrong, message in (
        ({'classes': np.array(['normal', 'tb'])}, 'those of the run are Normal, Pneumonia'),
        ({'test_images': coloured}, 'image 0 of test is in colour, 3 channels; this model takes 1'),
        ({'test_labels': other.labels + 1}, 'labels to 2, of 2 classes'),
    ):
        np.savez(tmp_path / 'wrong.npz', **{**given, **wrong})
        code, text, error = enter(*arguments, tmp_path / 'wrong.npz', '--sensitivity', '0.8')
        assert (code, text) == (2, '') and message in error
        assert error.startswith('error: ') and error.count('\n') == 1
    assert not list((tmp_path / 'out').glob('*wrong*'))


def test_mistakes_are_one_line_and_leave_nothing(
    folder: pathlib.Path, tmp_path: pathlib.Path, enter: Enter
) -> None:
    unfinished = tmp_path / 'unfinished'
    shutil.copytree(folder / 'cnn', unfinished, ignore=shutil.ignore_patterns('*evaluation*'))
    newer = tmp_path / 'newer'
    shutil.copytree(unfinished, newer)
    (unfinished / 'results.json').unlink()
    path = newer / 'model.safetensors'
    content = path.read_bytes()
    assert b'"format":"1"' in content
    path.write_bytes(content.replace(b'"format":"1"', b'"format":"9"'))
    (tmp_path / 'empty').mkdir()
    before = sorted(tmp_path.rglob('*'))
    one = folder / 'cnn'
    for arguments, message in (
        (['evaluate', tmp_path / 'empty'], 'is no run folder'),
        (['evaluate', unfinished], 'is not finished'),
        (['evaluate', newer], 'newer version'),
        (['compare', newer, one], 'newer version'),
        (['compare', one, tmp_path / 'empty'], 'is no run folder'),
        (['compare', one], 'required: RUN'),
        (['evaluate', one, '--with', folder / 'cnn_bn_dropout'], '--out'),
        (['evaluate', one, '--alpha', '7'], 'between 0 and 1'),
        (['evaluate', one, '--prevalance', '.1'], "did you mean '--prevalence'"),
        (['evaluate', one, '--out', tmp_path / 'x', '--data', tmp_path / 'no.npz'], 'no.npz'),
        (['evaluate', one, '--out', tmp_path / 'x', '--groups', tmp_path / 'no.csv'], 'no.csv'),
    ):
        code, text, error = enter(*arguments)
        assert (code, text) == (2, ''), arguments
        assert message in error and error.splitlines()[-1].startswith('error: '), error
        assert 'Traceback' not in error
    assert sorted(tmp_path.rglob('*')) == before


def test_a_damaged_or_altered_fit_is_refused(
    evaluated: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name in ('calibration.json', 'ood.npz', 'model.safetensors'):
        shutil.copy(evaluated / name, tmp_path / name)
    assert fitted.read(tmp_path, fitted.fingerprints([tmp_path])) is not None
    good = json.loads((tmp_path / 'calibration.json').read_text())
    for wrong, message in (
        ({'temperature': -1.0}, 'do not belong together'),
        ({'temperature': float('nan')}, 'do not belong together'),
        ({'limits': [0.1]}, 'do not belong together'),
        ({'detector': '0' * 64}, 'not the file that was written with it'),
        ({'format': 99}, 'newer version'),
        ({'more': 1}, 'cannot be read'),
    ):
        (tmp_path / 'calibration.json').write_text(json.dumps({**good, **wrong}))
        with pytest.raises(errors.UserError, match=message):
            fitted.read(tmp_path)
    (tmp_path / 'calibration.json').unlink()
    assert fitted.read(tmp_path) is None


def test_other_data_than_the_runs_are_told(
    folder: pathlib.Path, tmp_path: pathlib.Path, enter: Enter
) -> None:
    shutil.copytree(
        folder / 'cnn', tmp_path / 'run', ignore=shutil.ignore_patterns('cali*', 'ood*')
    )
    record = json.loads((tmp_path / 'run/run.json').read_text())
    record['config']['data']['limit'] = 40
    (tmp_path / 'run/run.json').write_text(json.dumps(record))
    code, _, error = enter('evaluate', tmp_path / 'run')
    assert code == 2 and 'is not what' in error and 'SHA-256' in error
    assert not (tmp_path / 'run/calibration.json').exists()


def test_compare(folder: pathlib.Path, tmp_path: pathlib.Path, enter: Enter) -> None:
    runs = [folder / 'cnn', folder / 'cnn_bn_dropout']
    code, text, _ = enter('compare', *runs, '--out', tmp_path / 'out')
    assert code == 0 and 'McNemar' in text and 'DeLong' in text
    found = json.loads((tmp_path / 'out/compare_cnn_bn_dropout.json').read_text())
    patients = data.load(**trained.load(runs[0]).records[0]['config']['data']).test.groups
    assert found['patients'] == len(np.unique(patients)) < found['images']
    assert f'resamples of the {found["patients"]} patients' in text
    logits, labels = trained.predictions(runs, 'test')
    areas = [sklearn_metrics.roc_auc_score(labels, metrics.softmax(one)[:, 1]) for one in logits]
    assert found['delong']['difference'] == pytest.approx(areas[0] - areas[1])
    assert found['differences']['auroc']['value'] == pytest.approx(areas[0] - areas[1])
    cells = ('both_right', 'only_a_right', 'only_b_right', 'both_wrong')
    assert sum(found['mcnemar'][cell] for cell in cells) == len(labels)
    right = [(one.argmax(1) == labels).sum() for one in logits]
    alone = found['mcnemar']['only_a_right'] - found['mcnemar']['only_b_right']
    assert alone == right[0] - right[1]
    assert (tmp_path / 'out/compare_cnn_bn_dropout.png').stat().st_size > 10_000
    assert (tmp_path / 'out/compare_cnn_bn_dropout.md').exists()
    assert 'not the same files' not in text
    shutil.copytree(runs[1], tmp_path / 'other')
    record = json.loads((tmp_path / 'other/run.json').read_text())
    record['data'] |= {'title': 'other images', 'sha256': '0' * 64}
    (tmp_path / 'other/run.json').write_text(json.dumps(record))
    _, text, _ = enter('compare', runs[0], tmp_path / 'other', '--out', tmp_path / 'out')
    assert 'b on other images: these are not the same files' in text
    shutil.copytree(runs[1], tmp_path / 'cut')
    whole = (tmp_path / 'cut/predictions_test.npz').read_bytes()
    (tmp_path / 'cut/predictions_test.npz').write_bytes(whole[: len(whole) // 2])
    code, _, error = enter('compare', runs[0], tmp_path / 'cut')
    assert code == 2 and 'predictions_test.npz cannot be read' in error
