"""A project of its own with a study, and run folders as training leaves them."""

import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from pneumo_jax import config as configs
from pneumo_jax import data
from pneumo_jax.evaluation import metrics
from pneumo_jax.sweep import study as studies
from pneumo_jax.sweep.study import Run

ROOT = pathlib.Path(__file__).parent.parent.parent

STUDY = """
from pneumo_jax.sweep import Row, Study

def get_study() -> Study:
    page, short = 'configs/mlp.py:smoke', {'epochs': 1}
    return Study(
        question='Does width help?',
        seeds=(0, 1),
        rows={
            'narrow': Row(page, short | {'model.hidden': 2}),
            'wide net': Row(page, short | {'model.hidden': 64}, note='(64 units)'),
        },
        baseline='narrow',
    )
"""
MARKED = 'Before.\n\n<!-- tiny -->\nold\n<!-- tiny -->\n\nAfter.\n'

Make = Callable[..., pathlib.Path]


@pytest.fixture(scope='session')
def make_study(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A project with the study `tiny`, whose folder is returned."""

    def make(text: str = STUDY) -> pathlib.Path:
        root = tmp_path_factory.mktemp('project')
        (root / 'configs').symlink_to(ROOT / 'configs')
        folder = root / 'experiments' / 'tiny'
        folder.mkdir(parents=True)
        (folder / 'study.py').write_text(text)
        for readme in (root / 'README.md', folder / 'README.md'):
            readme.write_text(MARKED)
        return folder

    return make


@pytest.fixture
def folder(make_study: Make) -> pathlib.Path:
    """The study `tiny`, of which nothing is run."""
    return make_study()


@pytest.fixture
def finish(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Run]]:
    """Make the run folders of `tiny`, all or those with the names, as if they had been trained."""
    root = folder.parent.parent
    monkeypatch.chdir(root)

    def make(*names: str) -> list[Run]:
        runs = studies.runs(studies.read(folder))
        for run in runs:
            if not names or run.name in names:
                write_run(run, root / 'runs' / folder.name / run.name)
        return runs

    return make


def write_run(run: Run, folder: pathlib.Path) -> None:
    """Invented predictions, those of wide nets better, and all that a sweep reads beside them."""
    folder.mkdir(parents=True)
    overrides = {
        flag.removeprefix('--config.').partition('=')[0]: flag.partition('=')[2]
        for flag in run.arguments[2:]
    }
    config = configs.to_json(configs.load(run.arguments[1], overrides))
    scores = {}
    drawn = data.load(**config['data'])
    record = {'config': config, 'data': {'sha256': drawn.digest}}
    (folder / 'run.json').write_text(json.dumps(record))
    for split in ('val', 'test'):
        labels = getattr(drawn, split).labels
        n = len(labels)
        shift = 1 + 2 * ('wide' in run.name)
        logits = np.random.default_rng([run.seed, n]).normal(size=(n, 2))
        logits[:, 1] += shift * (labels - 0.5)
        np.savez(
            folder / f'predictions_{split}.npz',
            logits=logits,
            probabilities=metrics.softmax(logits),
            labels=labels,
        )
        scores[split] = metrics.classification(logits, labels)
    origin = {
        'command': 'python -m pneumo_jax.main',
        'commit': 'abcdef0123456789abcdef0123456789abcdef01',
        'versions': {'jax': '0.10.2'},
        'device': '1 x cpu (cpu)',
    }
    (folder / 'results.json').write_text(json.dumps({**scores, 'origin': origin}))
