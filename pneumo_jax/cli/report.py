"""python -m pneumo_jax report: a finished run as one page, and as a model card."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors

ABOUT = """
Write report.html, one file that needs no network: data, recipe, curves, every score with its
interval, the mistakes with heat maps, and what the model must not be used for. Beside it the
figures as PNG and SVG, and README.md, a model card with the metadata of the Hugging Face Hub. What
the run said of val and test is read, not scored again.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax report runs/quickstart
  python -m pneumo_jax report runs/best-28 --with runs/vit-28 --out runs/both
"""


def add(verbs: Any) -> None:
    """The verb `report`."""
    verb = verbs.add_parser(
        'report',
        help='a run as one HTML file, figures and a model card',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, path = verb.add_argument, pathlib.Path
    doors.add_runs(verb)
    add('--out', type=path, metavar='FOLDER', help='default: RUN/report')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Write the report, and say where it is."""
    arguments.parser.refuse(rest)
    out = doors.folder_for(arguments, 'report')

    from pneumo_jax import runtime
    from pneumo_jax.reporting import report

    runtime.start()
    print(report.write(doors.runs_of(arguments), out))
