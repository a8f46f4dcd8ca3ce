"""python -m pneumo_jax corruptions: a run on corrupted test images."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors

ABOUT = """
Score a finished run, or several as an ensemble, on its test images under the 13 corruptions of
PneumoniaMNIST-C at severities 1 to 5, made on the device. --out gets corruptions.json,
corruptions.md and corruptions.png. The look at the test images is noted in RUN/scored.jsonl.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax corruptions runs/quickstart
  python -m pneumo_jax corruptions runs/resnet18-28 --with runs/vit-28 --out runs/both
"""


def add(verbs: Any) -> None:
    """The verb `corruptions`."""
    verb = verbs.add_parser(
        'corruptions',
        help='a run on corrupted test images',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, path = verb.add_argument, pathlib.Path
    doors.add_runs(verb)
    add('--out', type=path, help='a folder for the report (default: RUN/corruptions)')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Score, and print the table."""
    arguments.parser.refuse(rest)

    out = doors.folder_for(arguments, 'corruptions')

    from pneumo_jax import runtime, trained
    from pneumo_jax.evaluation import gather, robustness, robustness_report
    from pneumo_jax.training import workdir

    runtime.start()
    loaded = trained.load(*doors.runs_of(arguments))
    dataset = gather.own_data(loaded)
    for folder in loaded.runs:
        workdir.record_scoring(folder, 'test')
    print(robustness_report.markdown(robustness.evaluate(loaded, dataset, out)))
    print(f'With a figure: {out}')
