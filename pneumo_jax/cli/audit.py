"""python -m pneumo_jax audit: what a data set hides."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors

ABOUT = """
Report duplicates within and across splits, patients whom splits share, the classes, and how val and
test differ: brightness, contrast, sharpness and, with --run, the scores of finished runs.
--out gets audit.json, audit.md and figures.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax audit --config configs/cnn.py:28
  python -m pneumo_jax audit --config configs/cnn.py:28 --config.data.groups=patients.csv
  python -m pneumo_jax audit --config configs/cnn.py:28 --run runs/cnn-28 runs/vit-28
"""


def add(verbs: Any) -> None:
    """The verb `audit`."""
    verb = verbs.add_parser(
        'audit',
        help='duplicates, shared patients, and how test differs from val',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    doors.add_config(verb)
    add, path = verb.add_argument, pathlib.Path
    add('--run', type=path, nargs='+', default=[], metavar='RUN', help='folders of finished runs')
    add('--out', type=path, default=path('runs/audit'), help='a folder for the report')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Audit a config's data, and the runs that were made on them."""
    config = arguments.parser.load_config(arguments, rest)

    from pneumo_jax import data
    from pneumo_jax.audit import run

    print(run.audit(data.load(**config.data), arguments.run, arguments.out))
    print(f'With figures: {arguments.out / "audit.md"}')
