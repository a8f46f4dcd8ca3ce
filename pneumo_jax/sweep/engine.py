"""A sweep: run what is missing, keep it, and write what follows from it."""

import collections
import contextlib
import dataclasses
import itertools
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from pneumo_jax import errors, files
from pneumo_jax.sweep import children, figure, store, summary, table
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
    dry_run: bool = False,
) -> None:
    """Bring `folder`, ROOT/experiments/NAME, up to date; runs are trained in ROOT/runs/NAME.

    `seeds` and `only` narrow down what is run, never what is shown. A `dry_run` prints commands.

    Raises:
        UserError: the study, a row or a results file cannot be used, or runs have failed.
        Stopped: a signal came; every finished run is kept.
    """
    folder = folder.resolve()
    root = folder.parent.parent
    if not root.is_dir():
        raise errors.UserError(f'no study at {folder}: give experiments/NAME.')
    with contextlib.chdir(root):
        _sweep(folder.relative_to(root), jobs, seeds, only, dry_run)


def _sweep(
    folder: pathlib.Path, jobs: int | None, seeds: int | None, only: Sequence[str], dry_run: bool
) -> None:
    study = studies.read(folder)
    runs = studies.runs(study)
    wanted = _chosen(study, runs, seeds, only)
    place = pathlib.Path('runs', folder.name)
    if dry_run:
        kept = _under_own_names(store.read(folder / 'results'), runs)
        kept += _of_others(_missing(wanted, kept), folder)
        missing = _missing(wanted, kept)
        for run in missing:
            print(shlex.join(children.command(run, place)))
        if not missing:
            print('nothing is missing', file=sys.stderr)
        return
    with _alone(folder, place):
        kept = _stored(runs, folder / 'results')
        _keep(_of_others(_missing(wanted, kept), folder), runs, kept, folder / 'results')
        failures = _run(runs, _missing(wanted, kept), kept, place, folder / 'results', jobs)
        _write(study, runs, kept, folder)
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


def _missing(runs: Sequence[Run], kept: Sequence[Kept]) -> list[Run]:
    there = {one.key for one in kept}
    return [run for run in runs if run.key not in there]


@contextlib.contextmanager
def _alone(folder: pathlib.Path, place: pathlib.Path) -> Iterator[None]:
    """Keep a second sweep of the study out. Raises UserError where folders cannot be made."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        (folder / 'results').mkdir(exist_ok=True)
    except OSError as error:
        raise errors.UserError(f'cannot write to {error.filename} ({error.strerror}).') from error
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(workdir.locked(place))
        except errors.UserError as error:
            raise errors.UserError(f'another sweep of {folder} is under way; wait.') from error
        yield


def _stored(runs: Sequence[Run], results: pathlib.Path) -> list[Kept]:
    """What is stored of these runs, in their order; what is stored beside that is dropped."""
    stored = store.read(results)
    kept = _under_own_names(stored, runs)
    if len(kept) < len(stored):
        print(f'dropped: {len(stored) - len(kept)} stored runs that the study does not have (now)')
    if [one.key for one in kept] != [one.key for one in stored]:
        store.drop(results, kept)
    return kept


def _under_own_names(stored: Sequence[Kept], runs: Sequence[Run]) -> list[Kept]:
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


def _of_others(missing: Sequence[Run], folder: pathlib.Path) -> list[Kept]:
    """What other studies have run already, with the same config and seed; each of them is said."""
    wanted, found = collections.defaultdict[tuple[str, str], list[Run]](list), list[Kept]()
    for run in missing:
        wanted[str(run.seed), run.digest].append(run)
    for other in sorted(folder.parent.glob('*/results/runs.csv')):
        if other.parent.parent.name == folder.name:
            continue
        for one in store.read(other.parent, lambda line: _same(line) in wanted):
            for run in wanted.pop(_same(one.line), []):
                print(f'{run.name}: as {one.line["row"]}-{run.seed} of {other.parent.parent}')
                found.append(_as(one, run))
    return found


def _as(one: Kept, run: Run) -> Kept:
    """A stored run, as one of the row of `run`."""
    return dataclasses.replace(one, line={**one.line, 'row': run.row})


def _same(line: dict[str, str]) -> tuple[str, str]:
    """What runs of different studies share if they are the same."""
    return line['seed'], line['config']


def _keep(
    new: Sequence[Kept], runs: Sequence[Run], kept: list[Kept], results: pathlib.Path
) -> None:
    """Put `new` into `kept`, in the order of `runs`, and into the files."""
    if new:
        order = [run.key for run in runs]
        kept.extend(new)
        kept.sort(key=lambda one: order.index(one.key))
        store.put(results, kept)


def _run(
    runs: Sequence[Run],
    missing: Sequence[Run],
    kept: list[Kept],
    place: pathlib.Path,
    results: pathlib.Path,
    wanted: int | None,
) -> list[str]:
    """Run what is missing, and put it into `kept` and the files; returns what failed, and why."""
    jobs, failures = children.jobs(wanted), []
    ready = [run for run in missing if (place / run.name / workdir.RESULTS).exists()]
    found = (children.Ended(run, seconds='', failure='') for run in ready)
    rest = [run for run in missing if run not in ready]
    print(f'{len(missing)} of {len(runs)} runs to do, {jobs} at a time; logs in {place}')
    with children.Pool(place, jobs) as pool, tqdm(total=len(missing), unit='run') as bar:
        for ended in itertools.chain(found, pool.run(rest)):
            try:
                _keep([_collected(ended, place)], runs, kept, results)
            except errors.UserError as error:
                failures.append(f'{ended.run.name}: {error}')
            bar.update()
    return failures


def _collected(ended: children.Ended, place: pathlib.Path) -> Kept:
    if ended.failure:
        raise errors.UserError(ended.failure)
    return store.collect(ended.run, place / ended.run.name, ended.seconds)


def _write(study: Study, runs: Sequence[Run], kept: Sequence[Kept], folder: pathlib.Path) -> None:
    """Table and figure, from what is stored alone, and the table's place in the READMEs."""
    found = summary.summaries(study, kept)
    text = table.table(study, found, [run.weights for run in runs])
    results = folder / 'results'
    files.write_text(results / 'table.md', text)
    files.write_text(results / 'seeds.md', table.seeds(found))
    figure.draw(study.question, study.baseline, found, results / 'figure.png')
    for readme in (folder / 'README.md', pathlib.Path('README.md')):
        table.place(text, folder.name, readme)
    print(f'\n{text}\nTable, seeds and figure are in {results}')
