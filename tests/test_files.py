import json
import pathlib

import pytest

from pneumo_jax import errors, files


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


@pytest.mark.parametrize(
    ('path', 'told'),
    [
        ('runs/b', 'b'),
        ('runs/a', 'a'),
        ('runs/a/seed_0', 'seed_0'),
        ('old/b.v2', 'old_b.v2'),
        ('data/there.npz', 'data_there'),
        ('one/two/three/four', 'two_three_four'),
        ('.', None),
    ],
)
def test_what_tells_a_path_from_another(
    path: str, told: str | None, tmp_path: pathlib.Path
) -> None:
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/there.npz').touch()
    assert files.apart(tmp_path / path, tmp_path / 'runs/a') == (told or tmp_path.name)


def test_a_folder_that_cannot_be_filled_is_told(tmp_path: pathlib.Path) -> None:
    with files.filled(tmp_path / 'a/b'):
        assert (tmp_path / 'a/b').is_dir()
    (tmp_path / 'file').touch()
    with (
        pytest.raises(errors.UserError, match=r'cannot write to .*file .*; give --out'),
        files.filled(tmp_path / 'file'),
    ):
        pytest.fail('there is no such folder')


def test_names_that_are_too_long_are_cut_and_told_apart_by_a_checksum() -> None:
    assert files.short('x' * files.LONGEST) == 'x' * files.LONGEST
    names = [files.short(letter * 120 + end) for letter in 'äx' for end in ('a' * 90, 'b' * 90)]
    assert len({*names}) == 4 and all(len(name.encode()) <= files.LONGEST for name in names)
    assert names[0].startswith('ä' * 90) and names[2].startswith('x' * 120 + 'a' * 60)
