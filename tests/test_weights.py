"""The weights' file: what is written comes back, and what is not one is refused."""

import json
import pathlib
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from pneumo_jax import errors, weights

TREE = {
    'params': {'fc': {'bias': np.arange(3.0), 'kernel': np.ones((2, 3), np.float32)}},
    'batch_stats': {'bn': {'mean': np.zeros(2)}},
}
META = {'model': {'name': 'cnn'}, 'classes': ['a', 'b'], 'preprocess': {}, 'views': ''}


def test_weights_come_back_as_they_were(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'w.safetensors'
    turned = np.arange(6.0, dtype=np.float32).reshape(2, 3).T  # not contiguous
    weights.save(path, {**TREE, 'turned': turned}, META)
    variables, meta = weights.load(path)
    assert meta == META
    np.testing.assert_array_equal(variables['turned'], turned)
    np.testing.assert_array_equal(variables['params']['fc']['bias'], np.arange(3.0))
    assert list(tmp_path.iterdir()) == [path]


def test_equal_weights_are_equal_files(tmp_path: pathlib.Path) -> None:
    names = 'abcdefgh'
    for place, order in (('one', names), ('two', names[::-1])):
        weights.save(tmp_path / place, TREE, {name: name for name in order} | META)
    assert (tmp_path / 'one').read_bytes() == (tmp_path / 'two').read_bytes()
    assert weights.load(tmp_path / 'one')[1]['a'] == 'a'


def test_what_are_no_weights_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'w.safetensors'
    with pytest.raises(errors.UserError, match='cannot be read'):
        weights.load(path)
    path.write_bytes(pickle.dumps(TREE))
    with pytest.raises(errors.UserError, match='cannot be read'):
        weights.load(path)
    weights.save(path, TREE, {'model': {}, 'classes': []})
    with pytest.raises(errors.UserError, match='does not say its preprocess, views'):
        weights.load(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(errors.UserError, match='cannot be read'):
        weights.load(path)
    save_file({'x': np.ones(2)}, path)
    with pytest.raises(errors.UserError, match='not a run of this package'):
        weights.load(path)
    save_file({'x': np.ones(2)}, path, {'format': 'pt'})
    with pytest.raises(errors.UserError, match='not a run of this package'):
        weights.load(path)
    save_file({'x': np.ones(2)}, path, {'format': json.dumps(weights.FORMAT + 1)})
    with pytest.raises(errors.UserError, match='newer version'):
        weights.load(path)


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        ({'params': np.ones(1)}, 'lies in another tensor|other tensors lie in'),
        ({'params/fc/bias/x': np.ones(1)}, 'lies in another tensor|other tensors lie in'),
    ],
)
def test_tensors_in_each_other_are_refused(
    tmp_path: pathlib.Path, more: dict[str, np.ndarray], message: str
) -> None:
    path = tmp_path / 'w.safetensors'
    about = {name: json.dumps(value) for name, value in {'format': 1, **META}.items()}
    save_file({'params/fc/bias': np.ones(2), **more}, path, about)
    with pytest.raises(errors.UserError, match=message):
        weights.load(path)


@pytest.mark.parametrize(
    ('name', 'value'), [('model', None), ('classes', 'ab'), ('preprocess', []), ('views', [])]
)
def test_what_a_file_says_of_itself_has_its_types(
    tmp_path: pathlib.Path, name: str, value: object
) -> None:
    weights.save(tmp_path / 'w.safetensors', TREE, {**META, name: value})
    with pytest.raises(errors.UserError, match=f'its {name}, .*, is no'):
        weights.load(tmp_path / 'w.safetensors')


def test_metadata_that_are_nested_too_deep_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'w.safetensors'
    save_file({'x': np.ones(1)}, path, {'format': '1', 'classes': '[' * 10**5})
    with pytest.raises(errors.UserError, match='cannot be read as weights'):
        weights.load(path)
