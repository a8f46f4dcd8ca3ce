"""The project's own files agree with each other."""

import pathlib
import subprocess
import tomllib

import jax
import jax.numpy as jnp
import pytest

from pneumo_jax import fields, models

ROOT = pathlib.Path(__file__).parent.parent


def test_uv_and_pip_get_the_same_versions() -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    wanted = [line for line in lines if not line.startswith('#')]
    assert project['tool']['uv']['constraint-dependencies'] == wanted


def test_the_environment_has_no_torch() -> None:
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    assert not [line for line in lines if line.startswith('torch')]


@pytest.mark.parametrize('name', fields.MODELS)
def test_the_readme_has_the_parameter_count_of_every_model(name: str) -> None:
    model = models.create(name, num_classes=2)
    shapes = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, 224, 224, 1)), train=False), jax.random.key(0)
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes['params']))
    assert f'{count:,}' in (ROOT / 'README.md').read_text()


def test_no_data_and_no_lock_file_are_tracked() -> None:
    listed = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True)
    tracked = listed.stdout.splitlines()
    data = [file for file in tracked if file.endswith(('.npz', '.jpeg', 'uv.lock'))]
    assert not [file for file in data if not file.endswith('/results/probabilities.npz')]
