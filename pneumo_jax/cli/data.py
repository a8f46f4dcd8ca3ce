"""python -m pneumo_jax data: what a config's data are, and what training sees of them."""

import argparse
import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

from pneumo_jax import doors, errors

EXAMPLES = """
examples:
  python -m pneumo_jax data --config configs/cnn.py:28
  python -m pneumo_jax data --config configs/best.py:28 --augmented --out sheet.png
  python -m pneumo_jax data --config configs/cnn.py --config.data.path=chest_xray/ --out ours.png
"""
IMAGES, VARIANTS = 6, 8  # of the contact sheet


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
        '--augmented',
        action='store_true',
        help='draw instead what augmentation makes of some: are they still radiographs?',
    )
    verb.add_argument(
        '--out', type=pathlib.Path, default=pathlib.Path('samples.png'), help='the figure to write'
    )
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Print what a config's data are, and draw images of every class, or a contact sheet."""
    config = arguments.parser.load_config(arguments, rest)
    if arguments.out.suffix != '.png':
        raise errors.UserError(f'--out {arguments.out}: the name must end with .png.')

    from pneumo_jax import data
    from pneumo_jax.data import dataset
    from pneumo_jax.evaluation import figures

    loaded = data.load(**config.data)
    print(dataset.summary(loaded))
    if arguments.augmented:
        show_augmented(config, loaded, arguments.out)
        return
    train = loaded.train
    with _writing(arguments.out):
        figures.samples(train.images, train.labels, loaded.classes, loaded.title, arguments.out)
    print(f'The first training images of every class: {arguments.out}')


@contextlib.contextmanager
def _writing(out: pathlib.Path) -> Iterator[None]:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise errors.UserError(f'--out {out} cannot be written: {error.strerror}.') from error


def show_augmented(config: Any, loaded: Any, out: pathlib.Path) -> None:
    """Draw the first images of every class beside variants of them, as training makes them."""
    import jax
    import numpy as np

    from pneumo_jax import augment, runtime
    from pneumo_jax.data import originals, splits
    from pneumo_jax.evaluation import contact_sheet

    train = large = loaded.train
    if config.originals:
        large = originals.load(config.originals, loaded, **config.data)
    shrink = originals.times(large.images, train.images) or 1
    change = augment.create(**config.augment, shrink=shrink)
    if change is None:
        raise errors.UserError(
            'this config augments nothing: see configs/best.py, or give --config.augment.crop=0.3.'
        )
    few = splits.first_of_each(train.labels, max(IMAGES, len(loaded.classes)))
    images = train.images[few]
    many = np.repeat(large.images[few], VARIANTS, 0).astype(np.float32) / 255
    variants = runtime.jit(change)(runtime.key(config.seed, 'contact sheet'), many)
    shaped = np.asarray(jax.device_get(variants)).reshape(len(images), VARIANTS, *images.shape[1:])
    with _writing(out):
        contact_sheet.draw(images, shaped, f'{loaded.title}, augmented', out)
    print(f'Training images and what augmentation makes of them: {out}')
