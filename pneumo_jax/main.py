"""Train, evaluate and keep one model.

    python -m pneumo_jax.main --config configs/quickstart.py          the first run, in a minute
    python -m pneumo_jax.main --config configs/resnet18.py:28         ResNet-18 at 28 px
    python -m pneumo_jax.main --config configs/vit.py:28 --config.optim.lr=3e-4 --workdir runs/low
    python -m pneumo_jax.main --config configs/cnn.py:28 --config.data.name=retinamnist
    python -m pneumo_jax.main --config configs/cnn.py --config.data.path=chest_xray/

The same command again resumes a stopped run, and prints the report of a finished one.
"""

import gc
import os
import pathlib
import sys
from collections.abc import Sequence

from pneumo_jax import doors


def main(argv: Sequence[str]) -> None:
    """Parse, start the machine, and make one call."""
    parser = doors.Parser(prog='python -m pneumo_jax.main', description=__doc__)
    doors.add_config(parser)
    parser.add_argument(
        '--workdir', type=pathlib.Path, help='the run folder (default: runs/NAME-FORM)'
    )
    arguments, rest = parser.parse_known_args(argv)
    doors.keep_memory()
    config = parser.load_config(arguments, rest)
    folder = arguments.workdir or doors.default_workdir(arguments.config)
    # A third of the time that imports and tracing take goes into looking for garbage.
    gc.set_threshold(50_000)
    # On some Intel processors XLA logs an error for every program that it loads from the cache,
    # because hints to its compiler are no features of the processor. What fails is raised.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

    from pneumo_jax import run, runtime  # jax takes seconds to import, --help and mistakes do not

    runtime.start()
    run.run(config, folder)


if __name__ == '__main__':
    sys.exit(doors.enter(main, sys.argv[1:]))
