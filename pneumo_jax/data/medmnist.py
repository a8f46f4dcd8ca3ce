"""The official files of MedMNIST: two dimensions, one label per image.

Yang et al., MedMNIST v2, Scientific Data 10:41, 2023. A file is looked for in $PNEUMO_JAX_DATA,
then in ~/.medmnist, the folder of the medmnist package, and else downloaded to the first of these.
"""

import ast
import dataclasses
import functools
import importlib.util
import os
import pathlib
from typing import Any

from pneumo_jax import errors, files
from pneumo_jax.data import arrays, download, groups
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

SIZES = (28, 64, 128, 224)


@functools.cache
def _info() -> dict[str, dict[str, Any]]:
    """The table `medmnist.INFO`: addresses, MD5s and labels of all sets.

    It is a literal, and read as one: `import medmnist` takes seconds, complains about a missing
    torch, and makes a folder in the user's home.
    """
    spec = importlib.util.find_spec('medmnist')
    if spec is None or spec.origin is None:
        raise UserError('the package medmnist is not installed: pip install medmnist.')
    source = pathlib.Path(spec.origin).with_name('info.py').read_text(encoding='utf-8')
    assignments = (node for node in ast.parse(source).body if isinstance(node, ast.Assign))
    table = next(node.value for node in assignments if ast.unparse(node.targets[0]) == 'INFO')
    info: dict[str, dict[str, Any]] = ast.literal_eval(table)
    return info


def _unfit(flag: str) -> str:
    """Why a set of MedMNIST cannot be loaded, or nothing."""
    if flag.endswith('3d'):
        return 'it holds volumes, and the models here see two dimensions'
    if _info()[flag]['task'].startswith('multi-label'):
        return 'its images have several labels each, and losses and scores here expect exactly one'
    return ''


def known_flags() -> tuple[str, ...]:
    """The names of the sets that can be loaded."""
    return tuple(flag for flag in _info() if not _unfit(flag))


def check(flag: str, size: int) -> None:
    """Refuse (`UserError`) an unknown or unfit set, or a size that MedMNIST does not come in."""
    if flag not in _info():
        raise errors.unknown('data.name', flag, ('synthetic', *known_flags()))
    if _unfit(flag):
        raise UserError(f'data.name={flag!r} cannot be used: {_unfit(flag)}.')
    if size not in SIZES:
        allowed = ', '.join(str(s) for s in SIZES)
        raise UserError(f'data.size={size}: MedMNIST comes in {allowed} px.')


def load(flag: str, size: int) -> Dataset:
    """An official set in its official splits; with groups where {flag}_patients.csv lies beside it.

    Raises:
      UserError: for what `check` refuses, and an altered file.
      download.UnavailableError: where there is neither file nor network.
    """
    check(flag, size)
    path = _official_file(flag, size)
    found, _ = arrays.read(path)
    table = patients_beside(path, flag)
    if table:
        found = _grouped(found, table)
    info = _info()[flag]
    classes = tuple(name[:1].upper() + name[1:] for name in info['label'].values())
    train, val, test = (found[split] for split in SPLITS)
    return Dataset(f'{info["python_class"]} {size} px', classes, train, val, test, flag)


def patients(flag: str, size: int) -> pathlib.Path | None:
    """The table of patients beside the official file, where both are on this machine."""
    path = next((place for place in _places(flag, size) if place.exists()), None)
    return path and patients_beside(path, flag)


def patients_beside(path: pathlib.Path, flag: str) -> pathlib.Path | None:
    """{flag}_patients.csv in the folder of `path`, where it is."""
    table = path.with_name(f'{flag}_patients.csv')
    return table if table.exists() else None


def _places(flag: str, size: int) -> list[pathlib.Path]:
    suffix = '' if size == 28 else f'_{size}'
    given = os.environ.get('PNEUMO_JAX_DATA')
    folders = [files.expanded(given)] if given else []
    try:
        folders.append(pathlib.Path.home() / '.medmnist')
    except RuntimeError as error:  # a user without a home, as in containers
        if not given:
            raise UserError('there is no home folder for data: set PNEUMO_JAX_DATA.') from error
    return [folder / f'{flag}{suffix}.npz' for folder in folders]


def _official_file(flag: str, size: int) -> pathlib.Path:
    suffix = '' if size == 28 else f'_{size}'
    url, md5 = _info()[flag][f'url{suffix}'], _info()[flag][f'MD5{suffix}']
    places = _places(flag, size)
    path = next((place for place in places if place.exists()), None)
    if path is None:
        download.fetch(url, places[0], md5)
        return places[0]
    # On every load: 10 ms for 4 MB at 28 px, some 20 s for the 13 GB of the largest set at 224 px,
    # which takes longer to unpack. Scores on a silently altered file would cost more.
    if download.md5_of(path) != md5:
        raise UserError(
            f'{path} is not the official file (its MD5 differs): delete it to download it anew, '
            f'or load it as an unofficial one with --config.data.path={path}.'
        )
    return path


def _grouped(found: dict[str, Split], table: pathlib.Path) -> dict[str, Split]:
    """The same splits with patients. Raises UserError where the table does not fit the images."""
    patients = groups.read(table, {split: found[split].labels for split in SPLITS})
    return {split: dataclasses.replace(found[split], groups=patients[split]) for split in SPLITS}
