"""python -m pneumo_jax evaluate: how good a run is, and what it knows of its own errors."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors
from pneumo_jax.cli.numbers import share

ABOUT = """
Score a finished run, or several as one ensemble, on its test split: every metric with a 95 %
bootstrap interval, sub-groups, calibration, conformal sets, uncertainty, and what is refused as no
radiograph. What these need is fitted on val. --out gets that (calibration.json, ood.npz),
evaluation_SPLIT.json, evaluation_SPLIT.md and figures.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax evaluate runs/quickstart
  python -m pneumo_jax evaluate runs/quickstart --prevalence 0.1 --alpha 0.05
  python -m pneumo_jax evaluate runs/seed-0 --with runs/seed-1 runs/seed-2 --out runs/ensemble
  python -m pneumo_jax evaluate runs/quickstart --data hospital.npz --out runs/hospital
"""
DATA = "other data with labels: an npz with MedMNIST's keys, or a folder [SPLIT/]CLASS/IMAGES"
GROUPS = 'columns split, index, patient, and kind for sub-groups; default: that of the data'
ALPHA = 'error rate of the sets; default: as fitted before, or 0.1'
SENSITIVITY = 'of the operating point on val; default: as fitted before, or 0.95'


def add(verbs: Any) -> None:
    """The verb `evaluate`."""
    verb = verbs.add_parser(
        'evaluate',
        help='metrics with intervals, calibration, conformal sets, uncertainty of a run',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, path = verb.add_argument, pathlib.Path
    doors.add_runs(verb)
    add('--split', choices=('val', 'test'), default='test', help='default: test')
    add('--data', type=path, metavar='FILE|FOLDER', help=DATA)
    add('--groups', type=path, metavar='CSV', help=GROUPS)
    add('--prevalence', type=share, metavar='P', help='also score as where this share is ill')
    add('--alpha', type=share, metavar='A', help=ALPHA)
    add('--sensitivity', type=share, metavar='S', help=SENSITIVITY)
    add('--out', type=path, metavar='FOLDER', help='default: RUN')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Evaluate a run."""
    arguments.parser.refuse(rest)
    out = doors.folder_for(arguments)

    from pneumo_jax import runtime
    from pneumo_jax.evaluation import evaluate

    runtime.start()
    print(
        evaluate.evaluate(
            doors.runs_of(arguments),
            out,
            split=arguments.split,
            path=arguments.data,
            table=arguments.groups,
            prevalence=arguments.prevalence,
            alpha=arguments.alpha,
            sensitivity=arguments.sensitivity,
        )
    )
