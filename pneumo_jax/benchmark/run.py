"""A benchmark from its options to its tables."""

import contextlib
import dataclasses
import os
import pathlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from pneumo_jax import data, errors, files, host
from pneumo_jax.benchmark import cases, figure, images, plan, report, results, rounds, search
from pneumo_jax.benchmark.cases import Case, Group
from pneumo_jax.benchmark.plan import Options
from pneumo_jax.benchmark.pool import Job
from pneumo_jax.benchmark.starter import Starter
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.training import workdir

Found = dict[str, Any]

# What changes speed, and is written beside it.
ENVIRONMENT = ('XLA_FLAGS', 'GLIBC_TUNABLES', 'OMP_NUM_THREADS', 'JAX_DEFAULT_MATMUL_PRECISION')
SCRATCH = '.benchmark-'  # begins the name of a folder in `--out` that goes at the end
MEMORY_SHARE = 0.8  # of what is available, where no limit is given


def run(options: Options) -> None:
    """Measure what is missing in `options.out`, and print its tables.

    Raises:
        UserError: an option that cannot be, a folder with another benchmark, or what failed.
    """
    groups = plan.groups(options)
    with folder(options.out) as scratch:
        starter = Starter(scratch, options.python_of_peers)
        machine = starter.machine(rates=not (options.out / results.FILE).exists())
        plan.check_devices(groups, machine)
        found = begin(options, machine)
        starter = dataclasses.replace(starter, gpus=plan.gpus(machine))
        missing = [g for g in groups if not all(results.has(found['rows'], case) for case in g)]
        searched = plan.searches(groups) if options.largest_batch else []
        limit = options.limit(machine)
        known = [one for one in found['largest_batches'] if limit in (0, one['memory_limit'])]
        searched = [case for case in searched if not results.has(known, case)]
        ticks = sum(rounds.units(group, options.measure, options.repeats) for group in missing)
        with tqdm(total=ticks + len(searched), unit='part', leave=False) as bar:
            session = Session(options, starter, found, bar)
            for group in missing:
                session.measure(group)
            for case in searched:
                session.search(case)
        keep(options.out, found)
    print(f'{report.text(found)}\nEverything is in {options.out}')
    if failed := sum(map(results.failed, [*found['rows'], *found['largest_batches']])):
        raise errors.UserError(
            f'{failed} of the cases could not be measured, as the tables say; the same command '
            'tries them again.'
        )


@contextlib.contextmanager
def folder(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make `out`, keep others out of it, and give a folder in it that goes at the end.

    Raises UserError where `out` cannot be written to, or another benchmark is in it.
    """
    with contextlib.ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(workdir.locked(out, '--out'))
            for old in out.glob(f'{SCRATCH}*/'):  # of benchmarks that were killed
                shutil.rmtree(old, ignore_errors=True)
            scratch = pathlib.Path(tempfile.mkdtemp(prefix=SCRATCH, dir=out))
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        except OSError as error:
            raise errors.UserError(f'--out={out}: {error.strerror}; give another.') from error
        yield scratch


def begin(options: Options, machine: Found) -> Found:
    """What `options.out` holds, or an empty benchmark; one of another kind is refused."""
    machine = dict(machine)
    origin = machine.pop('origin') | {
        'command': shlex.join(['python', *sys.orig_argv[1:]]),
        'environment': {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }
    settings = {
        'measure': list(options.measure),
        'repeats': options.repeats,
        'seconds': options.seconds,
        'data': options.data,
    }
    found = results.read(options.out)
    if found is None:
        head = {'origin': origin, 'settings': settings, 'machine': machine}
        return {**head, 'rows': [], 'largest_batches': []}
    results.check_same(options.out, found['settings'], settings)
    results.check_same(options.out, found['origin'], origin)
    tqdm.write(f'{options.out} has {len(found["rows"])} rows; another --out measures them again.')
    return found


def keep(out: pathlib.Path, found: Found) -> None:
    """Write the three files."""
    results.save(out, found)
    files.write_text(out / 'benchmark.md', report.text(found))
    figure.draw(found, out / 'benchmark.png')


@dataclasses.dataclass
class Session:
    """What goes on while workers are measured."""

    options: Options
    starter: Starter
    found: Found
    bar: Any

    def measure(self, group: Group) -> None:
        """Measure a group, and keep it."""
        self.bar.set_postfix_str(group[0].group)
        dataset = self.dataset(group)
        file = images.write(self.starter.scratch / 'data.npz', dataset)
        rows = rounds.measure(
            group,
            lambda case: self.starter.start(case, file),
            measures=self.options.measure,
            repeats=self.options.repeats,
            seconds=self.options.seconds,
            tick=self.tick,
            # A machine with a GPU has cores for that, and its time is dear.
            together=bool(self.starter.gpus),
        )
        about = {'train_images': len(dataset.train)}
        rows = [about | results.derive(row, self.found['machine']) for row in rows]
        results.put(self.found['rows'], rows)
        keep(self.options.out, self.found)

    def search(self, case: Case) -> None:
        """Find the largest batch of `case`, and keep it."""
        limit = self.options.limit(self.found['machine'])
        if not limit and self.found['machine']['platform'] == 'cpu':
            limit = int(MEMORY_SHARE * host.available_bytes())
        self.tick(f'largest batch, {case.name}')
        row = search.search(case, self.start_try, limit, self.bar.set_description_str)
        results.put(self.found['largest_batches'], [row])
        keep(self.options.out, self.found)

    def start_try(self, case: Case, limit: int) -> Job:
        """A worker for a batch that may not fit. Peers want as many images to choose it from."""
        file = self.starter.scratch / 'try.npz'
        if case.variant != cases.OURS:
            images.write(file, images.drawn(case, case.batch))
        return self.starter.start(case, file, limit)

    def tick(self, what: str) -> None:
        """Move the bar on, and let it say what is done now."""
        self.bar.set_description_str(what)
        self.bar.update()

    def dataset(self, group: Group) -> Dataset:
        """What the whole group reads."""
        if self.options.data:
            return data.load(name='', size=group[0].size, path=self.options.data)
        return images.drawn(group[0], images.count(group))
