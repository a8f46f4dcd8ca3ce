"""Sweeps with real training: stopped and killed ones end as one that was left alone."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from pneumo_jax.sweep import store

Make = Callable[..., pathlib.Path]
TABLES = ('table.md', 'seeds.md')
ROOT = pathlib.Path(__file__).parent.parent.parent
# What a GPU is needed for, on phantoms of 28 px and for one epoch.
LARGE_STUDY = f"""
import dataclasses, runpy

def get_study():
    study = runpy.run_path({str(ROOT / 'experiments' / 'seed_study_224' / 'study.py')!r})
    study = study['get_study']()
    rows = {{
        name: dataclasses.replace(
            row,
            page=row.page.replace(':224', ':smoke'),
            overrides={{**row.overrides, 'data.path': '', 'epochs': 1}},
        )
        for name, row in study.rows.items()
    }}
    return dataclasses.replace(study, rows=rows, seeds=(0,))
"""


def begin(
    folder: pathlib.Path, environment: dict[str, str], *arguments: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', 'pneumo_jax', 'sweep', str(folder), '--jobs', '1', *arguments],
        env=environment,
        cwd=folder.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stored(folder: pathlib.Path) -> int:
    return len(store.read(folder / 'results'))


def wait_for(process: subprocess.Popen[str], folder: pathlib.Path, count: int) -> None:
    while stored(folder) < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def test_stopped_and_killed_sweeps_end_as_one_that_was_left_alone(
    make_study: Make, environment: dict[str, str]
) -> None:
    alone, broken = make_study(), make_study()
    whole = begin(alone, environment)
    out, _ = whole.communicate()
    assert whole.returncode == 0, out
    assert '4 of 4 runs to do, 1 at a time' in out

    stopped = begin(broken, environment)
    wait_for(stopped, broken, 1)
    stopped.send_signal(signal.SIGTERM)
    out, _ = stopped.communicate()
    assert stopped.returncode == 128 + signal.SIGTERM, out
    assert 'Traceback' not in out
    killed = begin(broken, environment)
    wait_for(killed, broken, 2)
    killed.kill()
    killed.communicate()
    again = begin(broken, environment)
    out, _ = again.communicate()
    assert again.returncode == 0, out
    assert '4 of 4' not in out
    for name in TABLES:
        ours, theirs = (folder / 'results' / name for folder in (broken, alone))
        assert ours.read_bytes() == theirs.read_bytes()
    check_kept(broken)

    shutil.rmtree(broken.parent.parent / 'runs')
    retrained = begin(broken, environment, '--retrain', '--only', 'narrow', '--seeds', '1')
    out, _ = retrained.communicate()
    assert retrained.returncode == 0, out
    assert 'narrow-0: probabilities differ by at most 0.0e+00' in out
    for name in TABLES:
        ours, theirs = (folder / 'results' / name for folder in (broken, alone))
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_study_at_224_px_runs_to_its_table(
    make_study: Make, environment: dict[str, str]
) -> None:
    folder, quick = make_study(LARGE_STUDY), ('mlp', 'cnn')
    sweep = begin(folder, environment, '--only', *quick)
    out, _ = sweep.communicate()
    assert sweep.returncode == 0, out
    table = (folder / 'results' / 'table.md').read_text()
    rows = {line.split('`')[1]: line for line in table.splitlines() if line.startswith('| `')}
    assert len(rows) == 8 and stored(folder) == len(quick)
    assert all(('| 1 |' in line) == (name in quick) for name, line in rows.items())


def check_kept(folder: pathlib.Path) -> None:
    """Every score and every prediction is that of the run folder."""
    kept = store.read(folder / 'results')
    assert len(kept) == 4
    for run in kept:
        name = f'{run.line["row"].replace(" ", "-")}-{run.line["seed"]}'
        place = folder.parent.parent / 'runs' / 'tiny' / name
        results = json.loads((place / 'results.json').read_text())
        for split in run.splits:
            assert {s: run.score(split, s) for s in store.SCORES} == results[split]
            with np.load(place / f'predictions_{split}.npz') as arrays:
                np.testing.assert_array_equal(run.splits[split][0], arrays['probabilities'][:, 1])
        assert run.line['command'] == results['origin']['command']
        assert os.fspath(pathlib.Path('runs/tiny', name)) in run.line['command']
