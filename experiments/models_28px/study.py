"""Four models at 28 px, three seeds each, with their pages as they are.

    python experiments/models_28px/study.py

Runs what is missing (`results/MODEL-SEED.json`), writes `results/table.md`, and puts that table
into this folder's README and the project's, between the marks.
"""

import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
from typing import Any

from pneumo_jax import files

MODELS = ('cnn', 'cnn_bn_dropout', 'resnet18', 'vit')
SEEDS = (0, 1, 2)
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / 'results'
HEAD = '| page | val AUROC | test AUROC | test ACC | sensitivity | specificity | seeds |'
SCORES = (
    ('val', 'auroc'),
    ('test', 'auroc'),
    ('test', 'accuracy'),
    ('test', 'sensitivity'),
    ('test', 'specificity'),
)


def main() -> None:
    """Run, tabulate, and renew the two READMEs."""
    for model in MODELS:
        for seed in SEEDS:
            train(model, seed)
    table = '\n'.join([HEAD, re.sub(r'[^|]+', '---', HEAD), *map(row, MODELS)])
    files.write_text(RESULTS / 'table.md', table + '\n')
    reports = '\n'.join((RESULTS / f'{model}-0.txt').read_text() for model in MODELS)
    shown = (
        f'{table}\n\n<details><summary>Their test reports, seed 0</summary>\n\n'
        f'```\n{reports}```\n\n</details>'
    )
    for readme in (HERE / 'README.md', ROOT / 'README.md'):
        mark = '<!-- models_28px -->'
        before, _, after = readme.read_text().split(mark)
        files.write_text(readme, f'{before}{mark}\n{shown}\n{mark}{after}')


def train(model: str, seed: int) -> None:
    """One run, where its result file is missing."""
    result = RESULTS / f'{model}-{seed}.json'
    if result.exists():
        return
    run = ROOT / 'runs' / 'models_28px' / f'{model}-{seed}'
    page = f'configs/{model}.py:28'
    arguments = ['--config', page, f'--config.seed={seed}', '--workdir', str(run.relative_to(ROOT))]
    subprocess.run([sys.executable, '-m', 'pneumo_jax.main', *arguments], cwd=ROOT, check=True)
    RESULTS.mkdir(exist_ok=True)
    for name, target in (('report.txt', result.with_suffix('.txt')), ('results.json', result)):
        with files.atomic(target) as temporary:
            shutil.copy(run / name, temporary)


def row(model: str) -> str:
    """Mean and standard deviation over the seeds of every score."""
    found = [json.loads((RESULTS / f'{model}-{seed}.json').read_text()) for seed in SEEDS]
    cells = [spread([result[split][score] for result in found]) for split, score in SCORES]
    return '| ' + ' | '.join([f'`{model}.py:28`', *cells, str(len(found))]) + ' |'


def spread(values: list[Any]) -> str:
    """'.953 +- .004': mean and sample standard deviation."""
    return f'{statistics.mean(values):.3f} +- {statistics.stdev(values):.3f}'


if __name__ == '__main__':
    main()
