"""The declared studies can be run, and what is worked out beside them is right."""

import importlib.util
import json
import pathlib
import runpy
import sys
from typing import Any

import numpy as np
import pytest

from pneumo_jax import errors
from pneumo_jax.sweep import store, summary, table
from pneumo_jax.sweep import study as studies

ROOT = pathlib.Path(__file__).parent.parent.parent
STUDIES = sorted(
    path.parent
    for path in (ROOT / 'experiments').glob('*/study.py')
    if 'get_study' in path.read_text()
)


def script(path: str) -> Any:
    spec = importlib.util.spec_from_file_location('script', ROOT / 'experiments' / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('folder', STUDIES, ids=lambda folder: folder.name)
def test_every_row_can_be_run_and_has_its_place_in_the_readme(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    runs = studies.runs(studies.read(folder))
    assert len({run.digest for run in runs}) == len(runs), 'no two runs are the same'
    assert (folder / 'README.md').read_text().count(f'<!-- {folder.name} -->') == 2


@pytest.mark.parametrize('folder', STUDIES, ids=lambda folder: folder.name)
def test_what_is_committed_of_every_seed_follows_from_what_is_stored(
    folder: pathlib.Path, real_data: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    study = studies.read(folder)
    paths = {json.loads(run.data).get('path', '.') for run in studies.runs(study)}
    for path in paths:
        if not pathlib.Path(path).exists():
            pytest.skip(f'no {path}')
    kept = store.read(folder / 'results')
    runs = {row: [one for one in kept if one.line['row'] == row] for row in study.rows}
    found = [summary.Summary(row, '', of_row, {}, {}) for row, of_row in runs.items()]
    assert f'{table.seeds(found)}\n' == (folder / 'results' / 'seeds.md').read_text()
    head = table.HEADS[4].format(recall=summary.recall(found))
    assert f' | {head} | ' in (folder / 'results' / 'table.md').read_text()


def test_the_recipe_grows_part_by_part_into_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = studies.read(ROOT / 'experiments' / 'recipe')
    common = {'epochs', 'model.widths', 'model.stem', 'score_corrupted'}
    before = {'standardise', 'augment.blur'}  # the page has changed since
    assert set(recipe.rows[recipe.baseline].overrides) == common | before


def test_what_studies_share_is_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    runs = {folder.name: studies.runs(studies.read(folder)) for folder in STUDIES}
    digests = {name: {run.digest for run in of} for name, of in runs.items()}
    official = [run for run in runs['protocol'] if run.row.endswith(', official')]
    shared = {run.digest for run in official if 'standardised' not in run.row}
    assert len(shared) == len(official) - 3 and shared <= digests['recipe']
    assert {run.digest for run in runs['seed_study'] if run.row == 'best'} <= digests['best']
    assert digests['architecture'] & digests['recipe']


def test_another_prior_is_bayes_rule() -> None:
    afterwards = script('imbalance/afterwards.py')
    likelihood_ratio, old, new = np.array([0.2, 1.0, 5.0]), 0.75, 0.4
    p = likelihood_ratio * old / (likelihood_ratio * old + 1 - old)
    wanted = likelihood_ratio * new / (likelihood_ratio * new + 1 - new)
    np.testing.assert_allclose(afterwards.with_prior(p, old, new), wanted)


def test_em_finds_the_prior_where_only_the_prior_has_moved() -> None:
    """Two Gaussians; posteriors are exact for the old prior, images come with the new one."""
    afterwards = script('imbalance/afterwards.py')
    rng, old, new = np.random.default_rng(0), 0.75, 0.4
    labels = rng.random(20_000) < new
    ratio = np.exp(2 * rng.normal(np.where(labels, 1, -1), 1))
    p = ratio * old / (ratio * old + 1 - old)
    assert afterwards.estimated_prior(p, old) == pytest.approx(new, abs=0.02)


def test_shifted_val_has_every_severity_and_is_the_same_each_time() -> None:
    shifted = script('standardise/shifted.py')
    images = np.random.default_rng(0).integers(60, 200, (3, 28, 28, 1), np.uint8)
    first, again = ([*shifted.corrupted(images, 'gaussian_noise')] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    away = [np.abs(one.astype(float) - images).mean() for one in first]
    assert len(away) == 5 and away == sorted(away) and away[0] > 0
    assert all(one.dtype == np.uint8 and one.shape == images.shape for one in first)


def test_the_threshold_that_separates_is_found() -> None:
    afterwards = script('imbalance/afterwards.py')
    p, labels = np.array([0.1, 0.6, 0.8, 0.9]), np.array([0, 0, 1, 1])
    assert afterwards.best_threshold(p, labels) == pytest.approx(0.7)


SCRIPTS = [
    *('best/beside', 'capacity/views', 'imbalance/afterwards', 'protocol/agreement'),
    'protocol/glance',
    *('resplit/choice', 'speed/startup', 'speed/study'),
]


def told(path: str, *argv: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a script that is given these arguments."""
    file = ROOT / 'experiments' / f'{path}.py'
    monkeypatch.setattr(sys, 'argv', [str(file), *argv])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(file), run_name='__main__')
    return int(end.value.code or 0)


@pytest.mark.parametrize('path', SCRIPTS)
def test_a_script_says_what_it_is_and_refuses_what_it_does_not_know(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(path, '--help', monkeypatch=monkeypatch) == 0
    assert f'python experiments/{path}.py' in capsys.readouterr().out
    python = [sys.executable] * path.endswith('study')
    assert told(path, *python, '--nonsense', monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err.startswith("error: unknown argument '--nonsense'")


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        ([], 'required: PYTHON (see'),
        ([sys.executable, 'resnet18_28'], "unknown case 'resnet18_28': did you mean 'resnet18-28'"),
        (['no/python', 'cnn-28'], 'no/python is no program'),
    ],
)
def test_the_speed_study_refuses_before_it_measures(
    argv: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told('speed/study', *argv, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def kept(row: str, seed: int, auroc: float) -> store.Kept:
    return store.Kept({'row': row, 'seed': str(seed), 'val_corrupted_auroc': str(auroc)}, {})


def test_a_recipe_is_judged_by_the_mean_of_the_splits_that_all_have() -> None:
    choice = script('resplit/choice.py')
    first = [kept('a', 0, 0.5), kept('a', 1, 0.7), kept('b', 0, 0.9), kept('other', 0, 1.0)]
    rest = [
        kept(f'{recipe}, split {k}', 0, k / 10 + (recipe == 'b') / 100)
        for k in (1, 2)
        for recipe in 'ab'
    ]
    rest += [kept('b, split 3', 0, 0.0)]
    found = choice.scores(first, rest)
    assert all(list(of) == ['split 0', 'split 1', 'split 2'] for of in found.values())
    assert {recipe: list(of.values()) for recipe, of in found.items()} == {
        'a': pytest.approx([0.6, 0.1, 0.2]),
        'b': pytest.approx([0.9, 0.11, 0.21]),
    }
    base, ahead = choice.compared(found)
    assert base[-1] == '-' and base[-2] == '0.30000'
    assert ahead[-1] == '+0.1067 +- 0.0967'
    one = [kept(f'{recipe}, split 1', 0, auroc) for recipe, auroc in (('a', 0.5), ('b', 0.6))]
    assert choice.compared(choice.scores([], one))[1][-1] == '+0.1000 +- -'
    with pytest.raises(errors.UserError, match='no split has runs of all of a, b'):
        choice.scores([], [one[0], kept('b, split 2', 0, 0.6)])


def test_a_choice_needs_runs_with_splits(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told('resplit/choice', str(tmp_path), monkeypatch=monkeypatch) == 2
    assert "no run of a row called 'RECIPE, split K'" in capsys.readouterr().err


def test_published_speeds_name_no_folder_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PNEUMO_JAX_DATA', '/home/me/data')
    published = script('speed/study.py').published
    given = 'python -m x --peers-python /home/me/torch/bin/python --data {}pneumoniamnist.npz'
    told = 'python -m x --peers-python torch-env/bin/python --data pneumoniamnist.npz'
    assert published(given.format('/home/me/data/'), '/home/me/torch/bin/python') == told
    assert published(told, 'python') == told
