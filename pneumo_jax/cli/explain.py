"""python -m pneumo_jax explain: where a run looks."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors, errors, files

ABOUT = """
Draw where image files (JPEG, PNG, TIFF, DICOM) speak for a class: the image, the map and the
overlay, in a PNG for each file and one for all. Methods: gradcam (CNNs), relevance and rollout
(ViT), integrated and occlusion (all models). A map is evidence of what the model goes by, not of
disease.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax explain runs/quickstart chest.png
  python -m pneumo_jax explain runs/quickstart chest.png --method gradcam occlusion --target Normal
  python -m pneumo_jax explain runs/quickstart images/*.png --compare
"""


def add(verbs: Any) -> None:
    """The verb `explain`."""
    verb = verbs.add_parser('explain', help='where a run looks', description=ABOUT, epilog=EXAMPLES)
    add, path = verb.add_argument, pathlib.Path
    doors.add_runs(verb)
    add('images', type=path, nargs='+', metavar='IMAGE', help='image files')
    add('--method', nargs='+', metavar='METHOD', help="(default: the model's first)")
    add('--target', metavar='CLASS', help='the class to explain (default: the predicted one)')
    add('--out', type=path, help='a folder for the figures (default: RUN/explain)')
    add('--compare', action='store_true', help='deletion and insertion scores of all methods')
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Explain, and say where the figures are."""
    arguments.parser.refuse(rest)
    out = doors.folder_for(arguments, 'explain')

    from pneumo_jax import runtime, trained

    runtime.start()
    loaded = trained.load(*doors.runs_of(arguments))

    import numpy as np

    from pneumo_jax.data import images
    from pneumo_jax.explain import run

    for method in arguments.method or ():
        if method not in run.methods(loaded):
            raise errors.unknown(f'method for {loaded.title}', method, run.methods(loaded))
    shape = loaded.preprocess.image_shape
    pictures = np.stack([images.read(path, shape) for path in arguments.images])
    for method in arguments.method or run.methods(loaded)[:1]:
        for path in run.draw(
            loaded, pictures, names(arguments.images), method, arguments.target, out
        ):
            print(errors.printable(str(path)))
    if arguments.compare:
        print('\n' + run.table(run.compare(loaded, pictures, arguments.target, out)))


def names(paths: list[pathlib.Path]) -> list[str]:
    """What the figures are called: the files' names, numbered where two are the same."""
    stems = [files.short(path.stem) for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [f'{stem}-{number}' for number, stem in enumerate(stems, 1)]
