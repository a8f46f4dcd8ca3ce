"""From the start of the process to the end of the first training step, first and later times.

    python experiments/speed/startup.py

Every page at 28 px, three starts each: the first with no compiled program on the disk, the others
with those that it left. Needs the folder of pneumoniamnist.npz in PNEUMO_JAX_DATA, and 6 minutes of
2 cores. Writes results/startup.json and the table in this folder's README.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

from pneumo_jax import doors, errors, files, main, markdown  # light, as a child begins with them

HERE = pathlib.Path(__file__).parent
PAGES = (
    *('mlp', 'cnn', 'cnn_bn_dropout', 'resnet18', 'resnet50', 'se_resnet18', 'se_resnet50'),
    *('densenet121', 'convnext_tiny', 'vit', 'vit_small', 'vit_base', 'best'),
)
STARTS = 3
HEADS = ('page', 'batch', 'first start, s', *(f'start {i + 2}, s' for i in range(STARTS - 1)))


def measure_all() -> None:
    """Measure every page, and write what was found."""
    from pneumo_jax import runtime
    from pneumo_jax.sweep import table

    pages = []
    for page in PAGES:
        with tempfile.TemporaryDirectory() as cache:
            found = [_started(page, pathlib.Path(cache)) for _ in range(STARTS)]
        pages.append(
            {'page': f'{page}.py:28', 'batch': found[0][1], 'seconds': [s for s, _ in found]}
        )
        print(pages[-1])
    results = {'origin': runtime.provenance(), 'pages': pages}
    files.write_json(HERE / 'results' / 'startup.json', results)
    rows = [[p['page'], str(p['batch']), *(f'{s:.1f}' for s in p['seconds'])] for p in pages]
    table.place(markdown.table(HEADS, rows), 'startup', HERE / 'README.md')


def _started(page: str, cache: pathlib.Path) -> tuple[float, int]:
    """(seconds, batch size) of one start with the compiled programs in `cache`."""
    arguments = ['--config', f'configs/{page}.py:28', '--workdir', str(cache / 'run')]
    said = subprocess.run(
        [sys.executable, __file__, *arguments],
        env={**os.environ, 'XDG_CACHE_HOME': str(cache)},
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
    )
    if said.returncode:
        *_, last = ['it said nothing', *said.stderr.strip().splitlines()]
        raise errors.UserError(f'{page}: {last}')
    shutil.rmtree(cache / 'run')
    seconds, batch = said.stdout.split()[-2:]
    return float(seconds), int(batch)


def train_a_step(argv: list[str]) -> int:
    """As `python -m pneumo_jax.main`, but the process ends with its first step, and says when."""
    sys.meta_path.insert(0, _Watch())
    return doors.enter(main.main, argv)


class _Watch:
    """Puts the end after the first step into `training.programs`, once that is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name != 'pneumo_jax.training.loop':  # imported after it
            return
        sys.meta_path.remove(self)
        import jax

        from pneumo_jax.training.programs import Programs

        advance = Programs.advance

        def once(self: Programs, *step: Any) -> Any:
            state = advance(self, *step)[0]
            jax.block_until_ready(state)
            print(f'{_age():.2f} {self._plan.batch_size}', flush=True)
            os._exit(0)

        Programs.advance = once


def _age() -> float:
    """Seconds since this process began, through every restart of its own."""
    ticks = pathlib.Path('/proc/self/stat').read_text().rpartition(')')[2].split()[19]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf('SC_CLK_TCK')


if __name__ == '__main__':
    train = '--config' in sys.argv  # a child
    sys.exit(train_a_step(sys.argv[1:]) if train else doors.script(measure_all, __doc__))
