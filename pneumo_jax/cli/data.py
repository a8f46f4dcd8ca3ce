"""python -m pneumo_jax data: what a config's data are."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors

EXAMPLES = """
examples:
  python -m pneumo_jax data --config configs/cnn.py:28
  python -m pneumo_jax data --config configs/cnn.py --config.data.path=chest_xray/ --out ours.png
"""


def add(verbs: Any) -> None:
    """The verb `data`."""
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
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
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
