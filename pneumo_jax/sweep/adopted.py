"""What is stored of a study's runs: its own under the names they have now, and other studies'."""

import collections
import dataclasses
import pathlib
import sys
from collections.abc import Container, Sequence

from pneumo_jax.sweep import store
from pneumo_jax.sweep.store import Kept
from pneumo_jax.sweep.study import Run


def under_own_names(stored: Sequence[Kept], runs: Sequence[Run]) -> list[Kept]:
    """What is stored of these runs, in their order, also where a row has another name now."""
    there = {one.key: one for one in stored}
    wanted = {run.key for run in runs}
    renamed = {_same(one.line): one for one in stored if one.key not in wanted}
    found = list[Kept]()
    for run in runs:
        one = there.get(run.key) or renamed.pop((str(run.seed), run.digest), None)
        if one and one.key != run.key:
            print(f'{run.name}: as {one.line["row"]}-{run.seed}, of before', file=sys.stderr)
            one = _as(one, run)
        if one:
            found.append(one)
    return found


def of_others(missing: Sequence[Run], folder: pathlib.Path) -> list[Kept]:
    """What other studies have run already, with the same config and seed; each of them is said.

    Runs on other data of the same name are left where they are.
    """
    wanted, found = collections.defaultdict[tuple[str, str], list[Run]](list), list[Kept]()
    for run in missing:
        wanted[str(run.seed), run.digest].append(run)
    for other in sorted(folder.parent.glob('*/results/runs.csv')):
        if other.parent.parent.name == folder.name:
            continue
        for one in store.read(other.parent, lambda line: _is_wanted(line, wanted)):
            for run in wanted.pop(_same(one.line), []):
                print(f'{run.name}: as {one.line["row"]}-{run.seed} of {other.parent.parent}')
                found.append(_as(one, run))
    return found


def _is_wanted(line: dict[str, str], wanted: Container[tuple[str, str]]) -> bool:
    return _same(line) in wanted and store.is_of_today(line)


def _as(one: Kept, run: Run) -> Kept:
    """A stored run, as one of the row of `run`."""
    return dataclasses.replace(one, line={**one.line, 'row': run.row})


def _same(line: dict[str, str]) -> tuple[str, str]:
    """What runs of different studies share if they are the same."""
    return line['seed'], line['config']
