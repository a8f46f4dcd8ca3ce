"""Runs that are killed and run again, as processes: they end with the same bits."""

import json
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parent.parent
MAIN = 'pneumo_jax.main'
# Long enough to be interrupted in the middle of an epoch.
LONG = (
    '--config',
    'configs/cnn.py:smoke',
    '--config.data.limit=0',
    '--config.epochs=6',
    '--config.optim.ema=0.9',
    '--config.checkpoint.steps=17',
)


def ended(folder: pathlib.Path) -> dict[str, Any]:
    """What must not depend on whether a run was interrupted."""
    checkpoints = folder / 'checkpoints'
    last = max(int(path.name) for path in checkpoints.iterdir() if path.name.isdigit())
    meta = json.loads((checkpoints / str(last) / 'meta' / 'metadata').read_text())
    results = json.loads((folder / 'results.json').read_text())
    rows = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    for row in rows:
        del row['images_per_second']
    return {
        'step': last,
        'weights': meta['sha256'],
        'scores': [results[split] for split in ('val', 'test')],
        'rows': rows,
    }


@pytest.fixture(scope='module')
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp('whole') / 'run'
    command = [sys.executable, '-m', MAIN, *LONG, '--workdir', str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return ended(folder)


@pytest.mark.parametrize(
    ('signum', 'epochs'),
    [(signal.SIGKILL, 3), (signal.SIGTERM, 1), (signal.SIGINT, 0)],
)
def test_interrupted_and_run_again_ends_with_the_same_bits(
    signum: int,
    epochs: int,
    tmp_path: pathlib.Path,
    door: Any,
    environment: dict[str, str],
    uninterrupted: dict[str, Any],
) -> None:
    folder = tmp_path / 'run'
    process = subprocess.Popen(
        [sys.executable, '-m', MAIN, *LONG, '--workdir', str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started = folder / 'metrics.jsonl'
    while not started.exists() or started.read_text().count('\n') < epochs:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    time.sleep(0.05)
    process.send_signal(signum)
    _, told = process.communicate(timeout=60)
    assert not (folder / 'results.json').exists(), 'it was interrupted too late to show anything'
    if signum == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + signum
        assert 'the same command resumes' in told
    again = door(MAIN, *LONG, '--workdir', folder)
    assert again.returncode == 0, again.stderr
    if signum != signal.SIGKILL:
        assert 'resuming after step' in again.stdout
    assert ended(folder) == uninterrupted
