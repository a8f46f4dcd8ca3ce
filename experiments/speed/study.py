"""Our train step and inference beside torch's: eight models, three sizes, one process a side.

    python experiments/speed/study.py torch-env/bin/python
    python experiments/speed/study.py torch-env/bin/python resnet18-28 vit-224

Measures what is missing (`results/MODEL-SIZE.json`), or only the cases that are named, and writes
the table and the figure of all there is into this folder and the project's README. A case takes 1
to 3 minutes on 2 cores, most of it torch.compile's.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

from pneumo_jax import files
from pneumo_jax.benchmark import figure

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
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / 'results'
HEAD = (
    '| model | size, batch | step: ours | best torch | ratio | forward: ours | best torch | ratio |'
    ' compile: ours |'
)


def main(python: str, *chosen: str) -> None:
    """Measure with the torch of `python`, tabulate, draw, and renew the two READMEs."""
    cases = [f'{model}-{size}' for size in BATCHES for model in MODELS]
    for case in chosen or cases:
        measure(case, python)
    found = [json.loads(path.read_text()) for path in map(result, cases) if path.exists()]
    table = '\n'.join([HEAD, re.sub(r'[^|]+', '---', HEAD), *map(row, found)])
    text = f'{about(found)}\n\n{table}'
    files.write_text(RESULTS / 'table.md', text + '\n')
    rows = [row for one in found for row in one['rows']]
    figure.draw({**found[0], 'rows': rows}, RESULTS / 'speed.png')
    for readme in (HERE / 'README.md', ROOT / 'README.md'):
        mark = '<!-- speed -->'
        before, _, after = readme.read_text().split(mark)
        files.write_text(readme, f'{before}{mark}\n{text}\n{mark}{after}')


def result(case: str) -> pathlib.Path:
    """Where the measurements of 'cnn-28' are kept."""
    return RESULTS / f'{case}.json'


def measure(case: str, python: str) -> None:
    """One case, where its result file is missing."""
    if result(case).exists():
        return
    model, size = case.rsplit('-', 1)
    out = pathlib.Path('runs', 'speed', case)
    arguments = ['--models', model, '--sizes', size, '--batches', str(BATCHES[int(size)])]
    arguments += ['--measure', 'step,forward', '--repeats', '3', '--out', str(out)]
    command = [sys.executable, '-m', 'pneumo_jax', 'benchmark', *arguments]
    subprocess.run([*command, '--peers', 'torch', '--peers-python', python], cwd=ROOT, check=True)
    RESULTS.mkdir(exist_ok=True)
    shutil.copyfile(ROOT / out / 'benchmark.json', result(case))


def about(found: list[dict[str, Any]]) -> str:
    """Where the numbers come from."""
    machines = sorted({one['machine']['processor'] for one in found})
    commits = sorted({one['origin']['commit'][:7] for one in found})
    repeats = found[0]['settings']['repeats']
    return (
        f'Images a second, median of {repeats} interleaved rounds, float32; '
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
    main(*sys.argv[1:])
