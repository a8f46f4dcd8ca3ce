"""python -m pneumo_jax pretrain: a ViT that learns from the radiographs alone, without labels."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors

ABOUT = """
Masked auto-encoding (He et al. 2022): the ViT of a config sees a quarter of every training image's
patches, and a light decoder guesses the others. No label, and no image of val or test, is used.
The run folder gets model.safetensors (the encoder), reconstructions.png, metrics.jsonl and
checkpoints; the same command resumes a stopped run.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax pretrain --config configs/mae.py:28 --workdir runs/mae-28
  python -m pneumo_jax pretrain --config configs/mae.py:28 --config.mae.mask=0.6 --workdir runs/m60
  python -m pneumo_jax.main --config configs/vit.py:28 --config.pretrained.source=runs/mae-28
"""


def add(verbs: Any) -> None:
    """The verb `pretrain`."""
    verb = verbs.add_parser(
        'pretrain',
        help='a ViT without labels, by masked auto-encoding',
        description=ABOUT,
        epilog=EXAMPLES,
    )
    doors.add_config(verb)
    verb.add_argument(
        '--workdir', type=pathlib.Path, help='the run folder (default: runs/NAME-FORM)'
    )
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Pretrain."""
    doors.keep_memory()
    config = arguments.parser.load_config(arguments, rest)
    folder = arguments.workdir or doors.default_workdir(arguments.config)

    from pneumo_jax import pretrain, runtime

    runtime.start()
    pretrain.run(config, folder)
