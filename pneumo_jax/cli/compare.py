"""python -m pneumo_jax compare: whether one run is better than another."""

import argparse
import pathlib
from typing import Any

ABOUT = """
Compare two finished runs on the test images that both were scored on: the difference of every score
with a 95 % bootstrap interval, DeLong's test for AUROC, McNemar's for errors, and both ROC curves.
A run of several seeds is compared as their ensemble. --out gets compare_RUN.json, .md and .png.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax compare runs/best-28 runs/cnn-28
  python -m pneumo_jax compare runs/best-28 runs/cnn-28 --out runs/comparison
"""


def add(verbs: Any) -> None:
    """The verb `compare`."""
    verb = verbs.add_parser(
        'compare',
        help='two runs on the same test images: DeLong, McNemar, bootstrap',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, path = verb.add_argument, pathlib.Path
    add('runs', type=path, nargs=2, metavar='RUN', help='folders of finished runs')
    add('--out', type=path, metavar='FOLDER', help='default: the first RUN')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Compare two runs."""
    arguments.parser.refuse(rest)

    from pneumo_jax import runtime
    from pneumo_jax.evaluation import compare

    runtime.start()
    print(compare.compare(tuple(arguments.runs), arguments.out or arguments.runs[0]))
