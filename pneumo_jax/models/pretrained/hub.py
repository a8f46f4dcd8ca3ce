"""From what a user gives to a file of weights on this machine."""

import os
import pathlib
import re
import socket
import urllib.parse
import urllib.request

from pneumo_jax import errors, files

FOLDER = 'PNEUMO_JAX_WEIGHTS'  # the environment variable that names a folder of .safetensors
FILE = 'model.safetensors'  # as every repository of timm calls it
PICKLED = ('.pth', '.pt', '.bin', '.ckpt', '.pkl', '.pickle', '.th', '.tar')
# The weights that the pages name: commit of the repository, where known, and SHA-256 of its file.
PINNED = {
    'timm/resnet18.tv_in1k': (
        'bbd144b3e5565108aad885f145491d11bc6ce807',
        '694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81',
    ),
    'timm/resnet50.tv_in1k': (
        '78f3ecfdb38e06d9b8397f662e7ab8fee96026fa',
        '5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888',
    ),
    'timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k': (
        '',
        'a22e9b3685d1feca11a382fbed2db95defc965fe037c026069331b6c243268a6',
    ),
}
CONVERT = (
    'uv run --no-project --with torch --with safetensors --with numpy python -c "import torch; '
    'from safetensors.torch import save_file; '
    "c = torch.load('{given}', map_location='cpu', weights_only=True); "
    "c = c.get('state_dict', c.get('model', c)); "
    "save_file({{k: v.clone().contiguous() for k, v in c.items()}}, '{made}')\""
)


def find(source: str, *, revision: str = '', sha256: str = '') -> pathlib.Path:
    """The local file of `source`: a .safetensors file, or the name of weights, 'timm/NAME'.

    A name is looked for as NAME.safetensors in the folder $PNEUMO_JAX_WEIGHTS, then in the cache of
    huggingface_hub, and then fetched from the hub, without any token. `revision` is a branch, tag
    or commit there, of which the folder knows nothing: with it alone the folder is passed over. A
    file whose SHA-256 is not the given one is refused. Where neither is given, weights that the
    pages name are those of `PINNED`.

    Raises:
        UserError: no such file or name, a pickled file, another hash, or no network.
    """
    path = files.expanded(source)
    if path.suffix in PICKLED:
        made = path.with_suffix('.safetensors')
        raise errors.UserError(
            f'{source} is a pickle, which may run any code when it is read, and is not read here. '
            f'To convert it: {CONVERT.format(given=path, made=made)}'
        )
    if path.suffix != '.safetensors':
        repository = _repository(source)
        pinned = PINNED.get(repository, ('', ''))
        if not sha256 and revision in ('', pinned[0]):
            revision, sha256 = pinned
        path = _named(repository, revision, sha256)
    elif not path.is_file():
        raise errors.UserError(f'there is no file {path}.')
    if sha256 and (found := files.sha256(path)) != sha256.lower():
        raise errors.UserError(
            f'{path} is another file than asked for: its SHA-256 is {found}, not {sha256}.'
        )
    return path


def config(source: str, path: pathlib.Path, revision: str = '') -> pathlib.Path | None:
    """timm's description of the weights in `path`, where it is on this machine or on the hub.

    It is `config.json` beside `model.safetensors`, and NAME.json beside any other NAME.safetensors.
    """
    beside = path.with_name('config.json') if path.name == FILE else path.with_suffix('.json')
    if beside.is_file():
        return beside
    if path.name != FILE or pathlib.Path(source).suffix == '.safetensors':
        return None
    repository = _repository(source)
    try:
        return _fetched(repository, 'config.json', revision or PINNED.get(repository, ('',))[0])
    except errors.UserError:
        return None


def _named(repository: str, revision: str, sha256: str) -> pathlib.Path:
    """The file in FOLDER, unless nothing tells that it is of this revision, or that of the hub."""
    name = f'{repository.partition("/")[2]}.safetensors'
    folder = os.environ.get(FOLDER, '')
    known = sha256 or not revision
    if folder and known and (path := files.expanded(folder) / name).is_file():
        return path
    return _fetched(repository, FILE, revision)


def _repository(source: str) -> str:
    """'org/name' of what may be a name alone, which is timm's."""
    if not re.fullmatch(r'([\w-][\w.-]*/)?[\w-][\w.-]*', source):
        raise errors.UserError(
            f'{source!r} is neither a .safetensors file nor the name of weights on the Hugging '
            "Face hub, such as 'timm/resnet18.tv_in1k'."
        )
    return source if '/' in source else f'timm/{source}'


def _fetched(repository: str, name: str, revision: str) -> pathlib.Path:
    """A file of a repository: from huggingface_hub's cache or, with a progress bar, the hub."""
    import huggingface_hub
    from huggingface_hub import errors as hub_errors

    try:
        return pathlib.Path(
            huggingface_hub.hf_hub_download(
                repository,
                name,
                revision=revision or None,
                token=False,
                local_files_only=not _in_reach(huggingface_hub.constants.ENDPOINT),
            )
        )
    except (
        hub_errors.RepositoryNotFoundError,
        hub_errors.RevisionNotFoundError,
        hub_errors.RemoteEntryNotFoundError,
    ) as error:
        raise errors.UserError(
            f'the hub has no {name} of {repository}'
            + (f' at revision {revision}' if revision else '')
            + ': see https://huggingface.co/timm for the names.'
        ) from error
    except Exception as error:  # of several HTTP libraries: the hub's client wraps not all of them
        folder = os.environ.get(FOLDER, '')
        place = pathlib.Path(folder or 'FOLDER') / f'{repository.partition("/")[2]}.safetensors'
        setting = '' if folder else f', and set {FOLDER}=FOLDER'
        raise errors.UserError(
            f'{repository} cannot be downloaded ({type(error).__name__}). To get it by hand: '
            f'put https://huggingface.co/{repository}/resolve/{revision or "main"}/{FILE} '
            f'as {place}{setting}.'
        ) from error


def _in_reach(address: str) -> bool:
    """Whether a server may answer: without a network the hub's client tries five times, 25 s."""
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(urllib.parse.urlsplit(address).hostname, 443)
    except OSError:
        return False
    return True
