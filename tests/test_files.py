import json
import pathlib

import pytest

from pneumo_jax import files


def test_a_write_that_fails_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'a.json'
    files.write_json(path, {'a': 1})
    with pytest.raises(ValueError, match='not JSON compliant'):
        files.write_json(path, {'a': float('nan')})
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert json.loads(path.read_text()) == {'a': 1}
    assert list(tmp_path.iterdir()) == [path]
