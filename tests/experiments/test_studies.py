"""The declared studies can be run, and what is worked out beside them is right."""

import importlib.util
import pathlib
from typing import Any

import numpy as np
import pytest

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


def test_the_recipe_grows_part_by_part_into_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = studies.read(ROOT / 'experiments' / 'recipe')
    common = {'epochs', 'model.widths', 'model.stem', 'score_corrupted'}
    assert set(recipe.rows[recipe.baseline].overrides) == common


def test_what_studies_share_is_trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    runs = {folder.name: studies.runs(studies.read(folder)) for folder in STUDIES}
    digests = {name: {run.digest for run in of} for name, of in runs.items()}
    official = {run.digest for run in runs['protocol'] if run.row.endswith(', official')}
    assert official <= digests['recipe']
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


def test_the_threshold_that_separates_is_found() -> None:
    afterwards = script('imbalance/afterwards.py')
    p, labels = np.array([0.1, 0.6, 0.8, 0.9]), np.array([0, 0, 1, 1])
    assert afterwards.best_threshold(p, labels) == pytest.approx(0.7)
