"""Our train step and inference beside torch's: eight models, three sizes, one process a side.

    python experiments/speed/study.py torch-env/bin/python
    python experiments/speed/study.py torch-env/bin/python resnet18-28 vit-224 notebook
    python experiments/speed/study.py torch-env/bin/python gpu

Measures what is missing (`results/CASE.json`), or only the cases that are named, and writes the
tables and the figure of all there is into this folder and the project's README. A case takes 1 to 3
minutes on 2 cores, most of it torch.compile's. `gpu` stands for all that need one. The images are
noise, but for `epochs`, which needs the folder of pneumoniamnist.npz in PNEUMO_JAX_DATA, and those
of a GPU, which need data/chest_xray_224.npz.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from pneumo_jax import doors, errors, files
from pneumo_jax.benchmark import figure, report
from pneumo_jax.sweep import table

MODELS = (
    'mlp',
    'cnn',
    'cnn_bn_dropout',
    'vit',
    'resnet18',
    'resnet50',
    'densenet121',
    'convnext_tiny',
)
BATCHES = {28: 128, 64: 32, 224: 8}
PLAIN = ('mlp', 'cnn', 'cnn_bn_dropout')  # at 224 px most of their work is the optimiser's
PLAIN_BATCH = 32
REAL = pathlib.Path(os.environ.get('PNEUMO_JAX_DATA', ''), 'pneumoniamnist.npz')
# Measured beside the grid: what the command is given, and the peers that stand beside.
OTHERS = {
    'notebook': (
        '--models cnn --sizes 224 --batches 32 --measure step,epoch --repeats 3',
        'torch',
    ),
    'epochs': (
        '--models quickstart,resnet18,vit --sizes 28 --batches 64 --measure step,input,epoch'
        f' --repeats 3 --data {REAL}',
        '',
    ),
    'scaling': ('--models cnn --devices 1,2,4 --processes 1,2 --measure step', ''),
    'seeds': ('--models mlp,cnn,resnet18 --seeds 8 --measure step', ''),
}
RADIOGRAPHS = pathlib.Path('data', 'chest_xray_224.npz')
HALF = '--sizes 224 --dtypes bfloat16 --seconds 1'
ON_A_GPU = {
    'gpu-steps': (
        f'{HALF} --models resnet50,vit_small,resnet18 --batches 256 --measure step --repeats 3',
        'compile',
    ),
    'gpu-base': (f'{HALF} --models vit_base --batches 256 --measure step --repeats 3', ''),
    'gpu-notebook': (
        f'--models cnn --sizes 224 --batches 32 --measure epoch --repeats 1 --data {RADIOGRAPHS}',
        'notebook',
    ),
    'gpu-epochs': (
        f'{HALF} --models mlp,cnn,cnn_bn_dropout,resnet18,resnet50 --batches 128 --measure epoch'
        f' --repeats 2 --data {RADIOGRAPHS}',
        '',
    ),
}
GRID = [f'{model}-{size}' for size in BATCHES for model in MODELS]
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / 'results'
HEAD = (
    '| model | size, batch | step: ours | best torch | ratio | forward: ours | best torch | ratio |'
    ' compile: ours |'
)


def door(argv: Sequence[str]) -> None:
    """Go through the script's arguments."""
    parser = doors.Parser(description=__doc__)
    parser.add_argument('python', metavar='PYTHON', help='of an environment that has torch')
    parser.add_argument('cases', nargs='*', default=[], metavar='CASE', help="all but a GPU's")
    given, rest = parser.parse_known_args(argv)
    parser.refuse(rest)
    there = (*GRID, *OTHERS, 'gpu', *ON_A_GPU)
    for case in given.cases:
        if case not in there:
            raise errors.unknown('case', case, there)
    if not shutil.which(given.python):
        raise errors.UserError(f'{given.python} is no program: give the python that has torch.')
    main(given.python, given.cases)


def main(python: str, chosen: Sequence[str]) -> None:
    """Measure with the torch of `python`, tabulate, draw, and renew the two READMEs.

    Raises UserError, at the end, for the cases that failed.
    """
    failures = []
    for one in chosen or (*GRID, *OTHERS):
        for case in ON_A_GPU if one == 'gpu' else [one]:
            try:
                measure(case, python)
            except errors.UserError as error:
                failures.append(str(error))
    found = [json.loads(result(case).read_text()) for case in GRID if has(case)]
    lines = [HEAD, re.sub(r'[^|]+', '---', HEAD), *map(row, found)]
    text = '\n'.join([about(found), '', *lines])
    files.write_text(RESULTS / 'table.md', text + '\n')
    rows = [row for one in found for row in one['rows']]
    figure.draw({**found[0], 'rows': rows}, RESULTS / 'speed.png')
    for readme in (HERE / 'README.md', ROOT / 'README.md'):
        table.place(text, 'speed', readme)
    others = '\n\n'.join(map(section, filter(has, (*OTHERS, *ON_A_GPU))))
    table.place(others, 'others', HERE / 'README.md')
    if failures:
        raise errors.UserError(' '.join(failures))


def has(case: str) -> bool:
    """Whether it was measured."""
    return result(case).exists()


def section(case: str) -> str:
    """The report of one of the others, under its own heading."""
    text = report.text(json.loads(result(case).read_text()))
    return (
        text.replace('# Benchmark', f'## Benchmark: {case}', 1).replace('\n## ', '\n### ').strip()
    )


def result(case: str) -> pathlib.Path:
    """Where the measurements of 'cnn-28' are kept."""
    return RESULTS / f'{case}.json'


def measure(case: str, python: str) -> None:
    """One case, where its result file is missing. Raises UserError where the benchmark fails."""
    if has(case):
        return
    arguments, beside = {**OTHERS, **ON_A_GPU}.get(case) or (grid(case), 'torch')
    out = pathlib.Path('runs', 'speed', case)
    command = [sys.executable, '-m', 'pneumo_jax', 'benchmark', *arguments.split()]
    peers = ['--peers', beside, '--peers-python', python] if beside else []
    if subprocess.run([*command, *peers, '--out', str(out)], cwd=ROOT).returncode:
        raise errors.UserError(f'{case}: the benchmark has failed, as it says above.')
    RESULTS.mkdir(exist_ok=True)
    files.write_text(result(case), published((ROOT / out / 'benchmark.json').read_text(), python))


def published(found: str, python: str) -> str:
    """Results without the folders of the machine that they are from."""
    flag = '--peers-python '
    here = {f'{flag}{python}': f'{flag}torch-env/bin/python', str(REAL): REAL.name}
    for path, name in here.items():
        found = found.replace(path, name)
    return found


def grid(case: str) -> str:
    """The arguments of 'cnn-28'."""
    model, size = case.rsplit('-', 1)
    batch = PLAIN_BATCH if size == '224' and model in PLAIN else BATCHES[int(size)]
    return f'--models {model} --sizes {size} --batches {batch} --measure step,forward --repeats 7'


def about(found: list[dict[str, Any]]) -> str:
    """Where the numbers come from."""
    machines = sorted({one['machine']['processor'] for one in found})
    commits = sorted({one['origin']['commit'][:7] for one in found})
    repeats = sorted({one['settings']['repeats'] for one in found})
    return (
        f'Images a second, median of {" or ".join(map(str, repeats))} interleaved rounds, float32; '
        f'{", ".join(machines)}, {found[0]["machine"]["cores"]} cores; commit '
        f'{", ".join(commits)}. Best torch: the fastest of eager and `torch.compile`, tuned, and '
        "of the notebook's loop."
    )


def row(found: dict[str, Any]) -> str:
    """One case's line of the table."""
    rows = {row['name']: row for row in found['rows']}
    ours = rows['ours']
    case = ours['case']
    cells = [case['page'], f'{case["size"]} px, {case["batch"]}']
    for what in ('step', 'forward'):
        own = rate(ours, what)
        best, name = max(
            (rate(other, what), name) for name, other in rows.items() if name != 'ours'
        )
        cells += [
            f'{own:,.4g}',
            f'{best:,.4g} ({name.removeprefix("torch ")})',
            f'{own / best:.2f}',
        ]
    cells.append(f'{ours["worker"]["compile_s"]:.1f} s')
    return f'| {" | ".join(cells)} |'


def rate(row: dict[str, Any], what: str) -> float:
    """Images a second, 0 where the side failed."""
    return float(row['images_per_second'].get(what, {'median': 0})['median'])


if __name__ == '__main__':
    sys.exit(doors.enter(door, sys.argv[1:]))
