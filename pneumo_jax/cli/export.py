"""python -m pneumo_jax export: a run as files for other programs."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors

ABOUT = """
Write a finished run, or several as an ensemble, in formats that other programs load: StableHLO
(jax.export), ONNX and safetensors. The first two take raw uint8 images [b, height, width, channels]
of any number b and give probabilities [b, classes]; preprocessing is in them. Each file is loaded
again and compared with the run; an example of its use is put beside it.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax export runs/quickstart
  python -m pneumo_jax export runs/quickstart --format onnx --out model/
  python -m pneumo_jax export runs/resnet18-28 --with runs/vit-28 --out both/
"""


def add(verbs: Any) -> None:
    """The verb `export`."""
    verb = verbs.add_parser(
        'export',
        help='a run as StableHLO, ONNX and safetensors',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, path = verb.add_argument, pathlib.Path
    doors.add_runs(verb)
    add('--format', nargs='+', metavar='FORMAT', help='stablehlo, onnx, safetensors (default: all)')
    add('--out', type=path, help='a folder (default: RUN/export)')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Export, and say how well each file agrees with the run."""
    arguments.parser.refuse(rest)

    from pneumo_jax import runtime, trained
    from pneumo_jax.deploy import export, export_onnx

    out = doors.folder_for(arguments, 'export')
    formats = arguments.format or export.available()
    for name in formats:
        export.check(name)
    runtime.start()
    about = export.export(trained.load(*doors.runs_of(arguments)), formats, out)
    print(f'{about["title"]}, checked on {about["checked_on"]}:')
    for file, found in about['files'].items():
        size = (out / file).stat().st_size / 1e6
        more = ''.join(f', {key} {found[key]}' for key in ('platforms', 'opset') if key in found)
        print(f'{out / file}  {size:.1f} MB, differs by {found["largest_difference"]:.1e}{more}')
    if not arguments.format and 'onnx' not in formats:
        print(f'No ONNX. {export_onnx.MISSING}')
