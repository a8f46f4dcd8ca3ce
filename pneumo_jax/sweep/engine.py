"""A sweep: run what is missing, keep it, and write what follows from it."""

import contextlib
import dataclasses
import itertools
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from pneumo_jax import errors, files
from pneumo_jax.sweep import adopted, children, figure, store, summary, table
from pneumo_jax.sweep import study as studies
from pneumo_jax.sweep.store import Kept
from pneumo_jax.sweep.study import Run, Study
from pneumo_jax.training import workdir


def sweep(
    folder: pathlib.Path,
    *,
    jobs: int | None = None,
    seeds: int | None = None,
    only: Sequence[str] = (),
    retrain: bool = False,
    dry_run: bool = False,
) -> None:
    """Bring `folder`, ROOT/experiments/NAME, up to date; runs are trained in ROOT/runs/NAME.

    `seeds` and `only` narrow down what is run, never what is shown. With `retrain` a run is also to
    do where its results are stored: it is trained unless ROOT/runs/NAME has it, takes the place of
    what is stored, and how far the two differ is said. A `dry_run` prints commands.

    Raises:
        UserError: the study, a row or a results file cannot be used, or runs have failed.
        Stopped: a signal came; every finished run is kept.
    """
    folder = folder.resolve()
    root = folder.parent.parent
    if not root.is_dir():
        raise errors.UserError(f'no study at {folder}: give experiments/NAME.')
    with contextlib.chdir(root):
        folder = folder.relative_to(root)
        study = studies.read(folder)
        runs = studies.runs(study)
        task = _Task(study, folder, runs, _chosen(study, runs, seeds, only), retrain)
        if dry_run:
            _tell(task)
        else:
            _sweep(task, jobs)


@dataclasses.dataclass(frozen=True)
class _Task:
    study: Study
    folder: pathlib.Path
    runs: Sequence[Run]  # of the study
    wanted: Sequence[Run]  # those of them that were asked for
    retrain: bool

    @property
    def results(self) -> pathlib.Path:
        return self.folder / 'results'

    @property
    def place(self) -> pathlib.Path:
        return pathlib.Path('runs', self.folder.name)

    def missing(self, kept: Sequence[Kept]) -> list[Run]:
        there = {one.key for one in kept}
        return [run for run in self.wanted if run.key not in there]

    def to_do(self, kept: Sequence[Kept]) -> Sequence[Run]:
        return self.wanted if self.retrain else self.missing(kept)


def _tell(task: _Task) -> None:
    """Print the command of every run that is to do."""
    kept = adopted.under_own_names(store.read(task.results), task.runs)
    kept += adopted.of_others(task.missing(kept), task.folder)
    for run in task.to_do(kept):
        print(shlex.join(children.command(run, task.place)))
    if not task.to_do(kept):
        print('nothing is missing', file=sys.stderr)


def _sweep(task: _Task, jobs: int | None) -> None:
    with _alone(task):
        kept = _stored(task)
        _keep(adopted.of_others(task.missing(kept), task.folder), task, kept)
        failures = _run(task, kept, jobs)
        _write(task, kept)
    if failures:
        raise errors.UserError(f'{len(failures)} of the runs failed: {"; ".join(failures)}')


def _chosen(study: Study, runs: Sequence[Run], seeds: int | None, only: Sequence[str]) -> list[Run]:
    """The runs of the first `seeds` seeds, and of the rows `only`, where they are given."""
    for row in only:
        if row not in study.rows:
            raise errors.unknown('row', row, study.rows)
    if seeds and seeds > len(study.seeds):
        raise errors.UserError(f'--seeds {seeds}: the study has {len(study.seeds)}; add to them.')
    among, rows = study.seeds[:seeds], only or study.rows
    return [run for run in runs if run.seed in among and run.row in rows]


@contextlib.contextmanager
def _alone(task: _Task) -> Iterator[None]:
    """Keep a second sweep of the study out. Raises UserError where folders cannot be made."""
    try:
        task.place.mkdir(parents=True, exist_ok=True)
        task.results.mkdir(exist_ok=True)
    except OSError as error:
        raise errors.UserError(f'cannot write to {error.filename} ({error.strerror}).') from error
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(workdir.locked(task.place))
        except errors.UserError as error:
            message = f'another sweep of {task.folder} is under way; wait.'
            raise errors.UserError(message) from error
        yield


def _stored(task: _Task) -> list[Kept]:
    """What is stored of the runs, in their order; what is stored beside that is dropped."""
    stored = store.read(task.results)
    kept = adopted.under_own_names(stored, task.runs)
    if len(kept) < len(stored):
        print(f'dropped: {len(stored) - len(kept)} stored runs that the study does not have (now)')
    if [one.key for one in kept] != [one.key for one in stored]:
        store.put(task.results, kept, stored)
    return kept


def _keep(new: Sequence[Kept], task: _Task, kept: list[Kept]) -> None:
    """Put `new` into `kept`, in order and in the place of the same runs, and into the files."""
    if not new:
        return
    order, keys = [run.key for run in task.runs], {one.key for one in new}
    stored, others = [*kept], [one for one in kept if one.key not in keys]
    kept[:] = sorted([*others, *new], key=lambda one: order.index(one.key))
    store.put(task.results, kept, stored)


def _run(task: _Task, kept: list[Kept], wanted: int | None) -> list[str]:
    """Run what is to do, and put it into `kept` and the files; returns what failed, and why."""
    jobs, failures, to_do = children.jobs(wanted), [], task.to_do(kept)
    ready = [run for run in to_do if (task.place / run.name / workdir.RESULTS).exists()]
    found = (children.Ended(run, seconds='', failure='') for run in ready)
    rest = [run for run in to_do if run not in ready]
    store.check_data(kept, rest)
    print(f'{len(to_do)} of {len(task.runs)} runs to do, {jobs} at a time; logs in {task.place}')
    with children.Pool(task.place, jobs) as pool, tqdm(total=len(to_do), unit='run') as bar:
        for ended in itertools.chain(found, pool.run(rest)):
            try:
                new = _collected(ended, task.place)
                store.check_data([*kept, new])
            except errors.UserError as error:
                failures.append(f'{ended.run.name}: {error}')
            else:
                _compare(ended.run.name, new, kept)
                _keep([new], task, kept)
            bar.update()
    return failures


def _collected(ended: children.Ended, place: pathlib.Path) -> Kept:
    if ended.failure:
        raise errors.UserError(ended.failure)
    return store.collect(ended.run, place / ended.run.name, ended.seconds)


def _compare(name: str, new: Kept, kept: Sequence[Kept]) -> None:
    """Say how far a run that is stored is from the same run, trained again."""
    for old in (one for one in kept if one.key == new.key):
        gaps = [np.abs(new.splits[split][0] - p).max() for split, (p, _) in old.splits.items()]
        tqdm.write(f'{name}: probabilities differ by at most {max(gaps):.1e} from those stored')


def _write(task: _Task, kept: Sequence[Kept]) -> None:
    """Table and figure, from what is stored alone, and the table's place in the READMEs."""
    found = summary.summaries(task.study, kept)
    text = table.table(task.study, found, [run.weights for run in task.runs])
    files.write_text(task.results / 'table.md', f'{text}\n')
    files.write_text(task.results / 'seeds.md', f'{table.seeds(found)}\n')
    figure.draw(task.study.question, task.study.baseline, found, task.results / 'figure.png')
    for readme in (task.folder / 'README.md', pathlib.Path('README.md')):
        table.place(text, task.folder.name, readme)
    print(f'\n{text}\n\nTable, seeds and figure are in {task.results}')
