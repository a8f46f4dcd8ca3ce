"""python -m pneumo_jax predict: what a run says of image files."""

import argparse
import gc
import os
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from pneumo_jax import doors, errors
from pneumo_jax.cli.numbers import count, share

if TYPE_CHECKING:
    from pneumo_jax.deploy.predict import Outcome

ABOUT = """
Predict image files, and all images in folders: PNG, JPEG, TIFF and DICOM. For each of them the
class, its probabilities (calibrated, with conformal sets and a check whether it is a radiograph,
once `evaluate` has fitted these to the run) and their entropy in bits; of several runs or seeds
the mean probability, and how much of the entropy is disagreement. Without --out a table is printed.
With --out the same command again skips the files that are done. Files that cannot be read are
listed at the end.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax predict runs/quickstart chest.png
  python -m pneumo_jax predict runs/quickstart hospital/ --out hospital.csv
  python -m pneumo_jax predict runs/best-28 scan.dcm --heatmaps maps
  python -m pneumo_jax predict runs/cnn-28 hospital/ --with runs/vit-28 --out both.jsonl
  python -m pneumo_jax predict runs/cnn-28 hospital/ --prevalence 0.1
"""
CALIBRATION = 'what `evaluate --out` wrote to, as it has to of several runs (RUN)'


def add(verbs: Any) -> None:
    """The verb `predict`."""
    verb = verbs.add_parser(
        'predict', help='what a run says of image files', description=ABOUT, epilog=EXAMPLES
    )
    add, path = verb.add_argument, pathlib.Path
    doors.add_runs(verb)
    add('paths', type=path, nargs='+', metavar='FILE|FOLDER', help='images, or folders of images')
    add('--out', type=path, metavar='FILE', help='a table of all columns, .csv or .jsonl')
    add('--batch-size', type=count, metavar='N', help='images at a time (as the run was scored)')
    add('--prevalence', type=share, metavar='P', help='of the ill where the images come from')
    add('--calibration', type=path, metavar='FOLDER', help=CALIBRATION)
    add('--heatmaps', type=path, metavar='FOLDER', help='what speaks for each class, as PNG files')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Predict, and tell what could not be."""
    arguments.parser.refuse(rest)
    doors.keep_memory()
    gc.set_threshold(50_000)
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

    from pneumo_jax import runtime
    from pneumo_jax.deploy import predict

    runtime.start()
    outcome = predict.predict(
        doors.runs_of(arguments),
        arguments.paths,
        out=arguments.out,
        batch_size=arguments.batch_size,
        prevalence=arguments.prevalence,
        calibration=arguments.calibration,
        maps=arguments.heatmaps,
    )
    _tell(outcome, arguments)


def _tell(outcome: 'Outcome', arguments: argparse.Namespace) -> None:
    """Say on stderr what the table does not; `UserError` where a named file has no prediction."""
    bad, lines = outcome.refused, []
    if len(bad) == 1 and bad[0][0].named and not outcome.predicted:
        raise bad[0][1]
    if not outcome.calibrated:
        first, *others = map(str, doors.runs_of(arguments))
        more = ['--with', *others, '--out', 'FOLDER'] if others else []
        command = shlex.join(['python', '-m', 'pneumo_jax', 'evaluate', first, *more])
        lines.append(
            f'Not calibrated, without sets and without a check for radiographs: {command} adds them'
            + (', and --calibration FOLDER finds them.' if others else '.')
        )
    if arguments.out:
        done = f', {outcome.skipped:,} done before' if outcome.skipped else ''
        lines.append(f'{outcome.predicted:,} images predicted{done}: {arguments.out}')
    if bad:
        lines.append(f'{len(bad):,} file{"s" * (len(bad) > 1)} without a prediction:')
        lines += [f'  {errors.printable(" ".join(str(reason).split()))}' for _, reason in bad]
    for line in lines:
        print(line, file=sys.stderr)
    if any(file.named for file, _ in bad) or (bad and not outcome.predicted + outcome.skipped):
        raise errors.UserError(f'{len(bad):,} files could not be used; they are listed above.')
