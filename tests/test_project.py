"""The project's own files agree with each other."""

import pathlib
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).parent.parent


def test_uv_and_pip_get_the_same_versions() -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    wanted = [line for line in lines if not line.startswith('#')]
    assert project['tool']['uv']['constraint-dependencies'] == wanted


def test_the_environment_has_no_torch() -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    assert not [line for line in lines if line.startswith('torch')]


def test_no_data_and_no_lock_file_are_tracked() -> None:
    listed = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True)
    tracked = listed.stdout.splitlines()
    assert not [file for file in tracked if file.endswith(('.npz', '.jpeg', 'uv.lock'))]
