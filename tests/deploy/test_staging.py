"""Where an export's files lie until all are there, and what a kill leaves of them."""

import os
import pathlib

import pytest

from pneumo_jax import errors
from pneumo_jax.deploy import staging


def fill(out: pathlib.Path, *names: str) -> None:
    with staging.staged(out) as stage:
        for name in (*names, staging.ABOUT):
            (stage / name).write_text(name)


def names(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_files_of_an_earlier_export_go_and_others_stay(tmp_path: pathlib.Path) -> None:
    out = tmp_path / 'deep' / 'out'
    fill(out, 'model-0.safetensors', 'model.onnx', 'use_onnx.py')
    (out / 'mine.onnx').touch()
    fill(out, 'model.stablehlo')
    assert names(out) == {'mine.onnx', 'model.stablehlo', staging.ABOUT}
    assert names(out.parent) == {'out'}


@pytest.mark.parametrize('moved', [0, 1, 2])
def test_a_kill_while_files_move_leaves_no_export(
    moved: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, move, left = tmp_path / 'out', os.replace, iter(range(moved))
    fill(out, 'model.onnx')
    (out / 'mine.onnx').touch()

    def killed(self: pathlib.Path, target: pathlib.Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        move(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pathlib.Path, 'replace', killed)
        fill(out, 'a.py', 'model.stablehlo')
    assert {'mine.onnx'} <= names(out) <= {'mine.onnx', 'a.py', 'model.stablehlo'}
    assert len(names(out)) == 1 + moved
    assert names(tmp_path) == {'out'}


@pytest.mark.parametrize('gone', [0, 1, 2])
def test_what_a_kill_left_of_an_earlier_export_goes_with_the_next_one(
    gone: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, left = tmp_path / 'out', iter(range(gone))
    fill(out, 'model.onnx', 'use_onnx.py')
    (out / 'mine.onnx').touch()

    def killed(self: pathlib.Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        os.unlink(self)  # noqa: PTH108

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pathlib.Path, 'unlink', killed)
        fill(out, 'model.stablehlo')
    assert len(names(out)) == 4 - gone
    fill(out, 'model.stablehlo')
    assert names(out) == {'mine.onnx', 'model.stablehlo', staging.ABOUT}


def test_what_fails_changes_nothing(tmp_path: pathlib.Path) -> None:
    out = tmp_path / 'out'
    fill(out, 'model.onnx')
    with pytest.raises(ZeroDivisionError), staging.staged(out) as stage:
        (stage / 'model.onnx').write_text('half')
        raise ZeroDivisionError
    assert (out / 'model.onnx').read_text() == 'model.onnx'
    assert names(tmp_path) == {'out'}


def test_what_a_killed_export_left_goes(tmp_path: pathlib.Path) -> None:
    with staging.staged(tmp_path / 'out') as stage:
        pass
    stage.mkdir(parents=True)
    (stage / 'model.onnx').touch()
    fill(tmp_path / 'out', 'model.stablehlo')
    assert names(tmp_path) == {'out'}
    assert names(tmp_path / 'out') == {'model.stablehlo', staging.ABOUT}


def test_one_at_a_time(tmp_path: pathlib.Path) -> None:
    with staging.staged(tmp_path / 'out') as stage:
        (stage / 'model.onnx').touch()
        with pytest.raises(errors.UserError, match=r'in use by another process.* another --out'):
            fill(tmp_path / 'out')
        assert (stage / 'model.onnx').exists()


@pytest.mark.parametrize('name', ['.', 'n' * 255])
def test_any_folder_will_do(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    fill(pathlib.Path(name), 'model.onnx')
    assert {'model.onnx', staging.ABOUT} <= names(pathlib.Path(name))
