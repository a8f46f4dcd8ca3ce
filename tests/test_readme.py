"""What the README shows is what runs wrote."""

import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EXPERIMENTS = ROOT / 'experiments'


def test_the_output_that_the_readme_shows_was_printed() -> None:
    printed = (EXPERIMENTS / 'quickstart' / 'output.txt').read_text()
    assert printed.strip() in (ROOT / 'README.md').read_text()


def test_the_table_that_the_readme_shows_was_made_from_results() -> None:
    table = (EXPERIMENTS / 'models_28px' / 'results' / 'table.md').read_text()
    assert table.strip() in (ROOT / 'README.md').read_text()


@pytest.mark.parametrize('path', EXPERIMENTS.glob('*/results/*.json'), ids=lambda path: path.stem)
def test_every_result_names_its_source(path: pathlib.Path) -> None:
    origin = json.loads(path.read_text())['origin']
    assert set(origin) >= {'command', 'commit', 'device', 'versions'}
    assert '+changes' not in origin['commit']
