"""What the devices tell each other in a train step, read from the program that XLA compiled.

The data-parallel step needs every gradient summed once, the metrics, and, for BatchNorm over the
global batch, its statistics forward and the gradient of its mean backward. XLA gathers and splits
these as it likes. On a CPU it waits for each; on a GPU an asynchronous one ('all-reduce-start')
goes on beside other work.
"""

import collections
import re
from collections.abc import Sequence
from typing import Any

OPERATION = re.compile(
    r' = (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?\('
)
ARRAY = re.compile(r'(\w+)\[([\d,]*)\]')


def communication(
    text: str, parameters: Sequence[int], statistics: Sequence[int] = ()
) -> dict[str, Any]:
    """The collectives of a compiled program, and what they carry, in bytes of their results.

    Args:
      text: the program, as `compiled.as_text()` gives it.
      parameters: the number of elements of every parameter array.
      statistics: the same of every BatchNorm statistic.

    An array as large as a parameter array is its gradient, once for each; 'metrics' are single
    numbers. What is left over is 'statistics' where it is as large as one, else 'other': gradients
    of kernels in other forms, on a CPU those of the taps that meet a small map, which are all that
    has to be summed, and of the 16 points of Winograd's 3x3 (from 128 channels on).
    `gradients_missing` counts the parameter arrays of which no gradient was found whole.
    """
    left = collections.Counter(parameters)
    carried = dict.fromkeys(('gradients', 'statistics', 'metrics', 'other'), 0)
    operations = []
    for shape, name, start in OPERATION.findall(text):
        arrays = [_array(*found) for found in ARRAY.findall(shape)]
        operations.append(
            {
                'operation': name,
                'asynchronous': bool(start),
                'arrays': len(arrays),
                'bytes': sum(size for _, size in arrays),
            }
        )
        for elements, size in arrays:
            carried[_kind(elements, left, statistics)] += size
    return {
        'operations': operations,
        'bytes': sum(operation['bytes'] for operation in operations),
        'expected_gradient_bytes': 4 * sum(parameters),
        'gradients_missing': left.total(),
        **{f'{kind}_bytes': size for kind, size in carried.items()},
    }


def _array(dtype: str, lengths: str) -> tuple[int, int]:
    """(elements, bytes) of 'f32' and '128,10'; a pred has a byte."""
    elements = 1
    for length in filter(None, lengths.split(',')):
        elements *= int(length)
    bits = re.search(r'\d+', dtype)
    return elements, elements * (int(bits[0]) // 8 if bits else 1)


def _kind(elements: int, left: collections.Counter[int], statistics: Sequence[int]) -> str:
    if left[elements]:
        left[elements] -= 1
        return 'gradients'
    if elements == 1:
        return 'metrics'
    return 'statistics' if elements in statistics else 'other'
