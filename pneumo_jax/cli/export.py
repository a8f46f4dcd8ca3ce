"""python -m pneumo_jax export: a run as files for other programs."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import errors

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
  python -m pneumo_jax export runs/resnet18-28 --with runs/vit-28
"""
FLAGS = ('--with', '--format', '--out')


def add(verbs: Any) -> None:
    """The verb `export`."""
    verb = verbs.add_parser(
        'export',
        help='a run as StableHLO, ONNX and safetensors',
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
    add('--format', nargs='+', metavar='FORMAT', help='stablehlo, onnx, safetensors (default: all)')
    add('--out', type=path, help='a folder (default: RUN/export)')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Export, and say how well each file agrees with the run."""
    if rest:
        raise errors.unknown('argument', rest[0], FLAGS)

    from pneumo_jax import runtime, trained
    from pneumo_jax.deploy import export, export_onnx

    out = arguments.out or arguments.run / 'export'
    formats = arguments.format or export.available()
    for name in formats:
        export.check(name)
    runtime.start()
    about = export.export(trained.load(arguments.run, *arguments.others), formats, out)
    print(f'{about["title"]}, checked on {about["checked_on"]}:')
    for file, found in about['files'].items():
        size = (out / file).stat().st_size / 1e6
        more = ''.join(f', {key} {found[key]}' for key in ('platforms', 'opset') if key in found)
        print(f'{out / file}  {size:.1f} MB, differs by {found["largest_difference"]:.1e}{more}')
    if not arguments.format and 'onnx' not in formats:
        print(f'No ONNX. {export_onnx.MISSING}')
