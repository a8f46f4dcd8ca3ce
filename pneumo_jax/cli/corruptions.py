"""python -m pneumo_jax corruptions: a run on corrupted test images."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import errors

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
FLAGS = ('--with', '--out')


def add(verbs: Any) -> None:
    """The verb `corruptions`."""
    verb = verbs.add_parser(
        'corruptions',
        help='a run on corrupted test images',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, path = verb.add_argument, pathlib.Path
    add('run', type=path, metavar='RUN', help='the folder of a finished run')
    add(
        '--with',
        type=path,
        nargs='+',
        default=[],
        metavar='RUN',
        dest='others',
        help='further runs, whose probabilities are averaged with those of RUN',
    )
    add('--out', type=path, help='a folder for the report (default: RUN/corruptions)')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Score, and print the table."""
    if rest:
        raise errors.unknown('argument', rest[0], FLAGS)

    from pneumo_jax import data, runtime, trained
    from pneumo_jax.evaluation import robustness, robustness_report
    from pneumo_jax.training import workdir

    runtime.start()
    loaded = trained.load(arguments.run, *arguments.others)
    dataset = data.load(**loaded.records[0]['config']['data'])
    for folder, record in zip(loaded.runs, loaded.records, strict=True):
        if record['data']['sha256'] != dataset.digest:
            raise errors.UserError(
                f'{folder} was trained on other data ({record["data"]["title"]}) than '
                f'{dataset.title}, which its config gives now.'
            )
        workdir.record_scoring(folder, 'test')
    out = arguments.out or arguments.run / 'corruptions'
    print(robustness_report.markdown(robustness.evaluate(loaded, dataset, out)))
    print(f'With a figure: {out}')
