"""A module imports only from the layers below its own (and nothing asks for more than it may)."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = 'pneumo_jax'

# The first prefix that fits a module gives its layer.
LAYERS = {
    'errors': 0,
    'files': 0.1,
    'canvas': 0.2,
    'forms': 0,
    'host': 0,
    'markdown': 0,
    'fields': 0,
    'config': 1.2,
    'runtime': 1,
    'data': 1,
    'models': 1,
    'training.optim': 1.5,
    'training.losses': 1,
    'training.averaging': 1,
    'training.plan': 1.5,
    'training.log': 1,
    'training.interrupt': 1.5,
    'training.checkpoint': 1.5,
    'training.workdir': 1.5,
    'training.steps': 2,
    'evaluation.metrics': 1,
    'evaluation.statistics': 1.5,
    'evaluation.scoring': 2,
    'evaluation': 3,
    'training': 3,
    'augment': 1,
    'benchmark': 4,
    'audit': 4,
    'sweep': 4.5,
    'weights': 0.5,
    'trained': 2.5,
    'explain': 3.2,
    'outputs': 3.5,
    'deploy': 3.6,
    'reporting': 3.8,
    'run': 4,
    'pretrain': 4,
    'doors': 5,
    'main': 6,
    'cli': 6,
    '__main__': 7,
}
MODULES = sorted(
    path
    for path in (ROOT / PACKAGE).rglob('*.py')
    if path.parent != ROOT / PACKAGE or path.stem != '__init__'
)


def name_of(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix('').parts
    return '.'.join(part for part in parts if part != '__init__')


def layer_of(module: str) -> float:
    return LAYERS[entry_of(module)]


def entry_of(module: str) -> str:
    fitting = [prefix for prefix in LAYERS if f'{module}.'.startswith(f'{prefix}.')]
    assert fitting, f'{module} has no layer'
    return max(fitting, key=len)


def imports_of(path: pathlib.Path) -> set[str]:
    """Dotted names of everything imported anywhere in a file, in or out of functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return found


def inner_imports(path: pathlib.Path) -> set[str]:
    """The modules of the package itself that a file imports, without the package's name."""
    inside = {
        name.removeprefix(f'{PACKAGE}.')
        for name in imports_of(path)
        if name.startswith(f'{PACKAGE}.')
    }
    known = {name_of(path) for path in MODULES}
    return {name if name in known else name.rpartition('.')[0] for name in inside}


@pytest.mark.parametrize('path', MODULES, ids=name_of)
def test_imports_point_downwards(path: pathlib.Path) -> None:
    own = name_of(path)
    for other in inner_imports(path):
        if not other:
            continue
        same = entry_of(own) == entry_of(other)
        assert layer_of(other) < layer_of(own) or same, f'{own} imports {other}'


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs').glob('*.py')), ids=lambda path: path.stem
)
def test_pages_import_neither_jax_nor_the_package(path: pathlib.Path) -> None:
    heads = {name.partition('.')[0] for name in imports_of(path)}
    assert heads <= {'configs', 'ml_collections'}


@pytest.mark.parametrize(
    ('words', 'only'),
    [
        (('jax.devices', 'jax.device_count', 'process_index', 'process_count'), 'runtime'),
        (('orbax.checkpoint',), 'training.checkpoint'),
        (('add_argument',), 'main doors cli'),
    ],
)
def test_some_words_have_one_home(words: tuple[str, ...], only: str) -> None:
    for path in MODULES:
        text = path.read_text()
        for word in words:
            own = name_of(path)
            allowed = own in only.split() or own.partition('.')[0] in only.split()
            assert word not in text or allowed, f'{word} in {own}'


@pytest.mark.parametrize('name', ['config', 'data', 'benchmark.run'])
def test_what_a_mistake_waits_for_imports_no_jax(name: str) -> None:
    assert 'jax' not in imported_by(name)


@pytest.mark.parametrize('name', ['doors', 'main', 'cli'])
def test_what_every_start_waits_for_imports_nothing_heavy(name: str) -> None:
    assert not imported_by(name) & {'jax', 'numpy', 'ml_collections'}


def imported_by(name: str) -> set[str]:
    import subprocess
    import sys

    code = f'import sys, pneumo_jax.{name}; print(*sys.modules)'
    command = [sys.executable, '-c', code]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return set(said.stdout.split())
