"""`benchmark.json`: what is measured so far, so that the same command goes on where it stopped."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from pneumo_jax import errors, files
from pneumo_jax.benchmark.cases import Case

FILE = 'benchmark.json'
KEYS = {'origin', 'settings', 'machine', 'rows', 'largest_batches'}

Found = dict[str, Any]


def read(folder: pathlib.Path) -> Found | None:
    """What is there; a file that cannot be read is a `UserError`."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(found, dict) or not found.keys() >= KEYS:
            raise ValueError(f'it needs {", ".join(sorted(KEYS))}')
        return found
    except (ValueError, OSError) as error:
        raise errors.UserError(f'{path} cannot be read ({error}); give another --out.') from error


def check_same(folder: pathlib.Path, there: Found, here: Found) -> None:
    """Refuse (`UserError`) to add to rows that were measured otherwise, or elsewhere."""
    differing = [
        f'{name}: {there.get(name)!r} there, {here[name]!r} here'
        for name in here
        if name != 'command' and there.get(name) != here[name]
    ]
    if differing:
        raise errors.UserError(
            f'{folder} holds a benchmark of another kind ({"; ".join(differing)}); '
            'give another --out.'
        )


def has(rows: Sequence[Found], case: Case) -> bool:
    """Whether `case` is among them, and could be measured."""
    return any(row['case'] == dataclasses.asdict(case) and not failed(row) for row in rows)


def failed(row: Found) -> bool:
    """Whether something of a case, or the search for its largest batch, could not be had."""
    return bool(row.get('errors') or row.get('error'))


def put(rows: list[Found], new: Sequence[Found]) -> None:
    """Add `new`, in place of earlier rows of the same cases."""
    cases = [row['case'] for row in new]
    rows[:] = [row for row in rows if row['case'] not in cases] + list(new)


def save(folder: pathlib.Path, found: Found) -> None:
    """Write all of it, whole or not at all."""
    files.write_json(folder / FILE, found)


def derive(row: Found, machine: Found) -> Found:
    """`row` with what follows from it: operations a second, and what of a step an epoch keeps.

    `of_product_rate` is the share of what this machine reaches in products of matrices of the same
    type. Virtual devices are parts of one processor.
    """
    rates = {what: rate['median'] for what, rate in row['images_per_second'].items()}
    case, count = row['case'], row['worker'].get('flops_per_step')
    flops = share = None
    if count and 'step' in rates:
        mesh = case['devices'] * case['processes']
        flops = count * rates['step'] / (case['batch'] * mesh * case['seeds'])
        devices = 1 if machine['platform'] == 'cpu' else mesh
        share = flops / (devices * machine['flops_per_second'][case['model']['dtype']])
    whole = rates['epoch'] / rates['step'] if {'epoch', 'step'} <= rates.keys() else None
    return {**row, 'flops_per_second': flops, 'of_product_rate': share, 'epoch_over_step': whole}
