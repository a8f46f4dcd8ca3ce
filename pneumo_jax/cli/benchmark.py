"""python -m pneumo_jax benchmark: how fast."""

import argparse
import dataclasses
import pathlib
from collections.abc import Collection
from typing import Any

from pneumo_jax import doors, errors
from pneumo_jax.benchmark.cases import MEASURES, PEERS
from pneumo_jax.cli.numbers import count, positive

ABOUT = """
Measure speed: images a second of the train step, of inference, of the input and of whole epochs,
in processes that are asked in turn; beside them compile time, operations a second, peak memory.
--out gets benchmark.json, .md and .png; the same command again measures what is missing there.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax benchmark                                    cnn at 28 px, within a minute
  python -m pneumo_jax benchmark --models resnet18,vit --sizes 28,64 --dtypes float32,bfloat16
  python -m pneumo_jax benchmark --models cnn --devices 1,2,4 --measure step --out runs/scaling
  python -m pneumo_jax benchmark --models resnet18 --seeds 8 --largest-batch --out runs/seeds
  python -m pneumo_jax benchmark --peers torch --peers-python torch-env/bin/python --out runs/peers
"""


def add(verbs: Any) -> None:
    """The verb `benchmark`."""
    verb = verbs.add_parser(
        'benchmark',
        help='speed, memory and scaling, beside torch',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    add, measures = verb.add_argument, '; '.join(f'{k}: {v}' for k, v in MEASURES.items())
    add('--models', type=names, default='cnn', metavar='A,B', help='pages of configs/ (cnn)')
    add('--sizes', type=counts, default='28', metavar='N,M', help='pixels (28)')
    add('--batches', type=counts, default='128', metavar='N,M', help='images a device (128)')
    add('--dtypes', type=names, default='float32', metavar='A,B', help='or bfloat16')
    add('--devices', type=counts, default='1', metavar='N,M', help='a process; virtual on a CPU')
    add('--processes', type=counts, default='1', metavar='N,M', help='of one job (1)')
    add('--seeds', type=count, default=1, metavar='N', help='also N models trained together')
    add('--measure', type=measured, default=','.join(MEASURES), metavar='A,B', help=measures)
    add('--repeats', type=count, default=5, metavar='N', help='rounds that count (5)')
    add('--seconds', type=positive, default=0.5, metavar='S', help='of each measurement (0.5)')
    add('--peers', type=peers, default=(), metavar='A,B', help=f'beside ours: {", ".join(PEERS)}')
    add(
        '--peers-python',
        default='',
        metavar='FILE',
        help='a Python that has them; default: this one',
    )
    add('--largest-batch', action='store_true', help='also the largest batch that fits')
    add(
        '--memory-limit',
        type=positive,
        default=0,
        metavar='GIB',
        help='what --largest-batch may use on a CPU (80 %% of what is available)',
    )
    add('--data', default='', help='an npz or image folder for input and epoch (drawn noise)')
    add(
        '--out',
        type=pathlib.Path,
        default=pathlib.Path('runs/benchmark'),
        metavar='FOLDER',
        help='where the results go (runs/benchmark)',
    )
    verb.set_defaults(door=measure, parser=verb)


def measure(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Measure, and print the tables."""
    arguments.parser.refuse(rest)
    doors.keep_memory()  # the workers, peers among them, inherit it

    from pneumo_jax.benchmark import plan, run

    fields = [field.name for field in dataclasses.fields(plan.Options)]
    run.run(plan.Options(**{name: getattr(arguments, name) for name in fields}))


def names(text: str) -> tuple[str, ...]:
    """'a,b' -> ('a', 'b'), each once."""
    return tuple(dict.fromkeys(text.split(',')))


def counts(text: str) -> tuple[int, ...]:
    """'1,2' -> (1, 2), each once."""
    return tuple(map(count, names(text)))


def measured(text: str) -> tuple[str, ...]:
    """'epoch,step' -> ('step', 'epoch')."""
    return _among('measure', text, MEASURES)


def peers(text: str) -> tuple[str, ...]:
    """'notebook,compile' -> ('compile', 'notebook')."""
    return _among('peer', text, PEERS)


def _among(kind: str, text: str, allowed: Collection[str]) -> tuple[str, ...]:
    """The listed names, in the order of `allowed`; others are a `UserError`."""
    given = names(text)
    for name in given:
        if name not in allowed:
            raise errors.unknown(kind, name, allowed)
    return tuple(name for name in allowed if name in given)
