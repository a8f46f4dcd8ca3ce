"""python -m pneumo_jax sweep: a study, from its file to its table."""

import argparse
import pathlib
from typing import Any

from pneumo_jax.cli.numbers import count

ABOUT = """
Run what is missing of a study (FOLDER/study.py: rows of configs, and seeds), each run a process of
its own, and write FOLDER/results: runs.csv, probabilities.npz, table.md, seeds.md, figure.png.
The same command goes on after a stop; with nothing to run it writes the same table again.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax sweep experiments/recipe
  python -m pneumo_jax sweep experiments/recipe --only '+ flips' '+ crops' --seeds 1
  python -m pneumo_jax sweep experiments/recipe --only '+ flips' --retrain    # is it so?
  python -m pneumo_jax sweep experiments/recipe --dry-run
"""


def add(verbs: Any) -> None:
    """The verb `sweep`."""
    verb = verbs.add_parser(
        'sweep',
        help='run a study, and write its table and figure',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add = verb.add_argument
    add('folder', type=pathlib.Path, metavar='FOLDER', help='experiments/NAME, with a study.py')
    add('--jobs', type=count, metavar='N', help='runs at a time (one a core, or one on a GPU)')
    add('--seeds', type=count, metavar='N', help='run only the first N seeds')
    add('--only', nargs='+', default=(), metavar='ROW', help='run only these rows')
    add(
        '--retrain',
        action='store_true',
        help='train also what results/ holds already, and say how far it differs; finished folders '
        'in runs/ are kept',
    )
    add('--dry-run', action='store_true', help='print the commands that are missing')
    verb.set_defaults(door=run, parser=verb)


def run(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Sweep."""
    arguments.parser.refuse(rest)

    from pneumo_jax.sweep import engine

    engine.sweep(
        arguments.folder,
        jobs=arguments.jobs,
        seeds=arguments.seeds,
        only=arguments.only,
        retrain=arguments.retrain,
        dry_run=arguments.dry_run,
    )
