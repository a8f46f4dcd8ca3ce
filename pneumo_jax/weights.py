"""A model's weights in a file of their own: safetensors, which holds numbers and text, no code.

A tensor is named by its path, 'params/layer1_0/conv1/kernel', and the file's metadata says as JSON
what it takes to use them.
"""

import json
import pathlib
from typing import Any

import jax
import numpy as np

from pneumo_jax import errors, files

FORMAT = 1  # of the metadata; a file of a higher one is refused
NEEDED = {'model': dict, 'classes': list, 'preprocess': dict, 'views': str}  # by who reads it
LARGEST = 2**33  # bytes; ViT-B/16 has 0.35 GB

Variables = dict[str, Any]
Meta = dict[str, Any]


def save(path: pathlib.Path, variables: Variables, meta: Meta) -> None:
    """Write nested dictionaries of arrays, which every process of a job holds whole."""
    from safetensors.numpy import save as to_bytes

    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    tensors = {
        '/'.join(str(step.key) for step in where): np.ascontiguousarray(leaf)
        for where, leaf in leaves
    }
    text = {'format': json.dumps(FORMAT)} | {name: json.dumps(meta[name]) for name in meta}
    files.write_bytes(path, _in_order(to_bytes(tensors, text)))


def _in_order(content: bytes) -> bytes:
    """The same file with a sorted header: equal weights are equal bytes, and have one SHA-256."""
    size = int.from_bytes(content[:8], 'little')
    whole = json.loads(content[8 : 8 + size])
    header = json.dumps(whole, sort_keys=True, separators=(',', ':')).encode()
    header += b' ' * (-len(header) % 8)  # tensors are aligned
    return len(header).to_bytes(8, 'little') + header + content[8 + size :]


def load(path: pathlib.Path) -> tuple[Variables, Meta]:
    """(variables, meta) as `save` wrote them.

    Raises:
        UserError: the file is missing, damaged, too large, or of a newer version of this package.
    """
    tensors, text = read(path)
    if not text.get('format', '').isdigit():  # torch's is 'pt'
        raise errors.UserError(f'{path} holds weights, but not a run of this package.')
    try:
        meta = {name: json.loads(text[name]) for name in text}
        tree = nested(tensors)
    except (ValueError, RecursionError) as error:
        raise errors.UserError(f'{path} cannot be read as weights: {error}') from error
    if meta.pop('format') > FORMAT:
        raise errors.UserError(f'{path} was written by a newer version; update pneumo_jax.')
    if missing := NEEDED.keys() - meta.keys():
        raise errors.UserError(f'{path} does not say its {", ".join(sorted(missing))}.')
    for name, kind in NEEDED.items():
        if not isinstance(meta[name], kind):
            raise errors.UserError(f'{path}: its {name}, {meta[name]!r}, is no {kind.__name__}.')
    return tree, meta


def read(
    path: pathlib.Path, *, tensors: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors, unless they are not asked for, and the metadata of any .safetensors file.

    Raises:
        UserError: it is missing, damaged, too large, or holds numbers that numpy does not have.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > LARGEST:
            raise errors.UserError(f'{path} is larger than {LARGEST / 1e9:.0f} GB: no weights.')
        with safe_open(path, framework='numpy') as file:
            names = file.keys() if tensors else ()
            found = {name: file.get_tensor(name) for name in names}
            if empty := [name for name, tensor in found.items() if not tensor.size]:
                raise ValueError(f'{empty[0]} is empty')
            return found, file.metadata() or {}
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        raise errors.UserError(f'{path} cannot be read as weights: {error}') from error


def nested(tensors: dict[str, Any]) -> Variables:
    """{'params/fc/bias': x} -> {'params': {'fc': {'bias': x}}}; ValueError where that cannot be."""
    tree: Variables = {}
    for name, tensor in tensors.items():
        *parents, leaf = name.split('/')
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f'{name} lies in another tensor')
        if leaf in place:
            raise ValueError(f'other tensors lie in {name}')
        place[leaf] = tensor
    return tree
