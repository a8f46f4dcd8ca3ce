"""Numbers on the command line."""

import argparse
import math


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def positive(text: str) -> float:
    """A number above 0."""
    return _between(text, math.inf, 'is not a number above 0')


def share(text: str) -> float:
    """A number between 0 and 1, without the ends."""
    return _between(text, 1, 'must lie between 0 and 1, such as 0.1')


def _between(text: str, top: float, mistake: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < top:
        raise argparse.ArgumentTypeError(f'{text!r} {mistake}')
    return value
