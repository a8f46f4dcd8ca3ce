"""An export's files: written beside their folder, moved into it when all of them are there."""

import contextlib
import pathlib
import re
import shutil
from collections.abc import Iterator

from pneumo_jax import files
from pneumo_jax.training import workdir

ABOUT = 'export.json'  # without which a folder holds no export
MODELS = re.compile(r'model(-\d+)?\.(stablehlo|onnx|safetensors)')  # names of exported files
CONSUMERS = pathlib.Path(__file__).parent / 'consumers'


@contextlib.contextmanager
def staged(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside `out`, whose files become those of `out` at the end of the block.

    What a killed export left there goes. Raises UserError while another one writes to `out`.
    """
    place = out.parent / f'.{files.short(out.name)}.export'
    place.mkdir(parents=True, exist_ok=True)
    with workdir.locked(place, '--out'):
        try:
            stage = place / 'files'
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            yield stage
            out.mkdir(exist_ok=True)
            _replace(out, stage)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _replace(out: pathlib.Path, stage: pathlib.Path) -> None:
    """Move everything from `stage` to `out`, where no file of an earlier export stays.

    `export.json` goes last, so that what a kill leaves is still known for ours, and comes last.
    """
    if (out / ABOUT).exists():
        for path in out.iterdir():
            if MODELS.fullmatch(path.name) or (CONSUMERS / path.name).is_file():
                path.unlink()
        (out / ABOUT).unlink()
    for path in sorted(stage.iterdir(), key=lambda path: path.name == ABOUT):
        path.replace(out / path.name)
