"""What became of a file's tensors and of a model's parameters."""

import dataclasses
import math
import pathlib

import numpy as np

from pneumo_jax import errors

Shape = tuple[int, ...]
Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Report:
    """Every tensor of the file is used or dropped; parameters that keep their values are new.

    `used`, `dropped` and `resampled` name the file's tensors, `new` ours, each with its shape;
    `resampled` are used ones, with their shape before and after, in our layout. `naming` is whose
    names the file has.
    """

    path: pathlib.Path
    sha256: str
    naming: str
    used: dict[str, Shape]
    dropped: dict[str, Shape]
    new: dict[str, Shape]
    resampled: dict[str, tuple[Shape, Shape]]

    def __str__(self) -> str:
        counters = [name for name in self.dropped if name.endswith('num_batches_tracked')]
        named = {name: shape for name, shape in self.dropped.items() if name not in counters}
        numbers = sum(math.prod(shape) for shape in self.used.values())
        lines = [
            f'{self.path.name} (names of {self.naming}), sha256 {self.sha256}',
            f'  used       {len(self.used)} tensors, {numbers:,} numbers',
            *(f'  resampled  {name} {a} -> {b}' for name, (a, b) in self.resampled.items()),
            *(f'  dropped    {name} {shape}' for name, shape in named.items()),
            *([f'  dropped    {len(counters)} x num_batches_tracked'] if counters else []),
            *(f'  new        {name} {shape}' for name, shape in self.new.items()),
        ]
        return '\n'.join(lines)


def check(
    what: str,
    initial: Arrays,
    found: Arrays,
    names: dict[str, str],
    tensors: Arrays,
    new: set[str],
    dropped: set[str],
) -> None:
    """That the file is all of the model and nothing else.

    Raises:
        UserError: it names all that has no partner or another shape.
    """
    lacking = [own for own in initial if own not in found and own not in new]
    strange = [name for name in tensors if name not in dropped and name not in names.values()]
    other = [own for own in found if own not in new and found[own].shape != initial[own].shape]
    if not (lacking or strange or other):
        return
    lines = [
        *(f'  not in the file: {own} {initial[own].shape}' for own in lacking),
        *(f'  not in the model: {name} {tensors[name].shape}' for name in strange),
        *(
            f'  another shape: {names[own]} {tensors[names[own]].shape}, {own} {initial[own].shape}'
            for own in other
        ),
    ]
    hint = ' Set config.model.layer_scale=True.' if any('.ls1.' in name for name in strange) else ''
    raise errors.UserError(
        f'{what} are not the same model, or not of the same size.{hint}\n' + ';\n'.join(lines)
    )
