"""The doors beside training: python -m pneumo_jax VERB ..."""

from collections.abc import Sequence

from pneumo_jax import doors
from pneumo_jax.cli import (
    audit,
    benchmark,
    compare,
    corruptions,
    data,
    evaluate,
    explain,
    export,
    predict,
    pretrain,
    report,
    sweep,
    weights,
)

VERBS = (
    *(data, audit, pretrain, weights),
    *(evaluate, compare, predict, explain, report, corruptions, export),
    *(sweep, benchmark),
)


def main(argv: Sequence[str]) -> None:
    """Choose the verb and go through its door."""
    parser = doors.Parser(
        prog='python -m pneumo_jax', description=__doc__, epilog='train: python -m pneumo_jax.main'
    )
    verbs = parser.add_subparsers(required=True, metavar='VERB', parser_class=doors.Parser)
    for verb in VERBS:
        verb.add(verbs)
    arguments, rest = parser.parse_known_args(argv)
    arguments.door(arguments, rest)
