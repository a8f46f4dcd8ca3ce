"""The doors beside training: python -m pneumo_jax VERB ..."""

import argparse
import pathlib
from collections.abc import Sequence

from pneumo_jax import doors

EXAMPLES = """
examples:
  python -m pneumo_jax data --config configs/cnn.py:28
  python -m pneumo_jax data --config configs/cnn.py --config.data.path=chest_xray/ --out ours.png
"""


def main(argv: Sequence[str]) -> None:
    """Choose the verb and go through its door."""
    parser = doors.Parser(
        prog='python -m pneumo_jax', description=__doc__, epilog='train: python -m pneumo_jax.main'
    )
    verbs = parser.add_subparsers(required=True, metavar='VERB', parser_class=doors.Parser)
    verb = verbs.add_parser(
        'data',
        help='counts, class balance, and a figure of the images',
        description='Print counts and class balance, and draw the first training images.',
        epilog=EXAMPLES,
    )
    doors.add_config(verb)
    verb.add_argument(
        '--out', type=pathlib.Path, default=pathlib.Path('samples.png'), help='the figure to write'
    )
    verb.set_defaults(door=show_data, parser=verb)
    arguments, rest = parser.parse_known_args(argv)
    arguments.door(arguments, rest)


def show_data(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Print what a config's data are, and draw five images of every class."""
    config = arguments.parser.load_config(arguments, rest)

    from pneumo_jax import data
    from pneumo_jax.data import dataset
    from pneumo_jax.evaluation import figures

    loaded = data.load(**config.data)
    print(dataset.summary(loaded))
    train = loaded.train
    figures.samples(train.images, train.labels, loaded.classes, loaded.title, arguments.out)
    print(f'The first training images of every class: {arguments.out}')
