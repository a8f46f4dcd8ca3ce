"""What the README shows is what runs wrote."""

import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EXPERIMENTS = ROOT / 'experiments'


def test_the_output_that_the_readme_shows_was_printed() -> None:
    printed = (EXPERIMENTS / 'quickstart' / 'output.txt').read_text()
    assert printed.strip() in (ROOT / 'README.md').read_text()


TABLES = [path for path in EXPERIMENTS.glob('*/results/*.md') if path.stem != 'seeds']


@pytest.mark.parametrize('path', TABLES, ids=lambda path: f'{path.parts[-3]}-{path.stem}')
def test_the_tables_that_readmes_show_were_made_from_results(path: pathlib.Path) -> None:
    readmes = [ROOT / 'README.md', path.parents[1] / 'README.md']
    assert any(path.read_text().strip() in readme.read_text() for readme in readmes)


RESULTS = list(EXPERIMENTS.glob('*/results/*.json'))


@pytest.mark.parametrize('path', RESULTS, ids=lambda path: path.stem)
def test_every_result_names_its_source(path: pathlib.Path) -> None:
    origin = json.loads(path.read_text())['origin']
    assert set(origin) >= {'command', 'commit', 'device', 'versions'}
    assert '+changes' not in origin['commit']
