import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import errors, runtime
from pneumo_jax.training.checkpoint import Checkpoints, digest

META = {'classes': ['a', 'b'], 'meter': {'sums': {'loss': 0.1 + 0.2}, 'steps': 3}}


def state(value: float) -> dict[str, Any]:
    return {
        'kernel': jnp.full((64, 64), value),
        'nested': {'bias': jnp.arange(3.0) + value, 'nothing': None},
        'step': jnp.int32(value),
    }


LIKE = jax.eval_shape(lambda: state(0))


def fill(folder: pathlib.Path, aurocs: list[float | None], best: str = 'auroc') -> None:
    with Checkpoints(folder, best, print) as checkpoints:
        for step, auroc in enumerate(aurocs, start=1):
            scores = None if auroc is None else {'auroc': auroc, 'loss': auroc}
            checkpoints.save(step, state(step), META, scores)


def kept(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def everywhere() -> jax.sharding.Sharding:
    return runtime.replicated(runtime.mesh())


def latest(folder: pathlib.Path, said: list[str] | None = None) -> Any:
    with Checkpoints(folder, 'auroc', print if said is None else said.append) as checkpoints:
        return checkpoints.restore_latest(LIKE, everywhere())


def test_an_empty_folder_has_none(tmp_path: pathlib.Path) -> None:
    assert latest(tmp_path / 'new') is None


def test_round_trip_to_the_bit(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, [0.5])
    restored, meta, step = latest(tmp_path)
    assert step == 1
    assert digest(restored) == digest(state(1))
    assert {name: meta[name] for name in META} == META


def test_what_is_saved_is_what_was_there_when_a_step_takes_the_state(
    tmp_path: pathlib.Path,
) -> None:
    step = jax.jit(lambda held: jax.tree.map(lambda leaf: leaf * 0, held), donate_argnums=0)
    held = jax.device_put(state(1), everywhere())
    with Checkpoints(tmp_path, 'auroc', print) as checkpoints:
        checkpoints.save(1, held, META, None)
        jax.block_until_ready(step(held))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(held))
    assert digest(latest(tmp_path)[0]) == digest(state(1))


def test_the_latest_two_and_the_best_are_kept(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, [0.1, 0.9, 0.2, 0.3, None, 0.4])
    assert kept(tmp_path) == [2, 5, 6]
    with Checkpoints(tmp_path, 'auroc', print) as checkpoints:
        assert checkpoints.restore_best(LIKE, everywhere())[2] == 2


def test_a_loss_is_best_where_it_is_lowest(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, [0.5, 0.1, 0.3, 0.4], best='loss')
    with Checkpoints(tmp_path, 'loss', print) as checkpoints:
        assert checkpoints.restore_best(LIKE, everywhere())[2] == 2


def _truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    'damage', [_truncate, _flip, pathlib.Path.unlink], ids=lambda f: f.__name__
)
def test_damage_to_any_file_is_noticed_or_harmless(tmp_path: pathlib.Path, damage: Any) -> None:
    fill(tmp_path / 'whole', [0.1, 0.2])
    files = sorted(path for path in (tmp_path / 'whole' / '2').rglob('*') if path.is_file())
    noticed = 0
    for number, file in enumerate(files):
        folder = tmp_path / str(number) / 'checkpoints'
        fill(folder, [0.1, 0.2])
        victims = sorted(path for path in (folder / '2').rglob('*') if path.is_file())
        damage(victims[min(number, len(victims) - 1)])
        said: list[str] = []
        restored, _, step = latest(folder, said)
        assert digest(restored) == digest(state(step)), file
        if step == 1:
            noticed += 1
            assert 'the checkpoint of step 2 is damaged' in said[0]
            assert (folder.parent / 'damaged' / '2-0').exists()
    assert noticed


def test_altered_weights_are_not_restored(tmp_path: pathlib.Path) -> None:
    """Weights that read well and are not those that were saved."""
    fill(tmp_path / 'run' / 'checkpoints', [0.1, 0.2])
    other = tmp_path / 'other'
    with Checkpoints(other, 'auroc', print) as checkpoints:
        checkpoints.save(2, state(7), META, {'auroc': 0.2})
    target = tmp_path / 'run' / 'checkpoints' / '2' / 'state'
    target.rename(tmp_path / 'old')
    (other / '2' / 'state').rename(target)
    said: list[str] = []
    assert latest(tmp_path / 'run' / 'checkpoints', said)[2] == 1
    assert 'not those that were saved' in said[0]


def test_nothing_but_damage_is_refused(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'checkpoints'
    fill(folder, [0.1, 0.2])
    for step in ('1', '2'):
        for path in (folder / step / 'state').rglob('*'):
            if path.is_file():
                path.write_bytes(b'')
    for _ in range(2):  # the second call does not begin anew
        with pytest.raises(errors.UserError, match='every checkpoint'):
            latest(folder)


def test_what_a_stop_left_of_a_save_is_no_checkpoint(tmp_path: pathlib.Path) -> None:
    fill(tmp_path, [0.1, 0.2])
    torn = tmp_path / '3.orbax-checkpoint-tmp' / 'metrics'
    torn.mkdir(parents=True)
    (torn / 'metrics').write_text('')
    assert latest(tmp_path)[2] == 2
    with Checkpoints(tmp_path, 'auroc', print) as checkpoints:
        checkpoints.save(4, state(4), META, None)
    assert not torn.exists()


def test_saved_on_four_devices_restored_on_one_and_back(tmp_path: pathlib.Path) -> None:
    four = everywhere()
    one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    for number, (source, target) in enumerate([(four, one), (one, four)]):
        folder = tmp_path / str(number)
        placed = jax.tree.map(lambda leaf, to=source: jax.device_put(leaf, to), state(3))
        with Checkpoints(folder, 'auroc', print) as checkpoints:
            checkpoints.save(3, placed, META, {'auroc': 0.5})
        with Checkpoints(folder, 'auroc', print) as checkpoints:
            restored = checkpoints.restore_latest(LIKE, target)
        assert restored is not None
        assert restored[0]['kernel'].sharding.device_set == target.device_set
        np.testing.assert_array_equal(restored[0]['kernel'], state(3)['kernel'])


@pytest.mark.parametrize(
    ('said', 'told'),
    [
        ('RESOURCE_EXHAUSTED: no room', 'No space left on device'),
        ('OUT_OF_RANGE: Error writing "params/0"', 'File too large'),
    ],
)
def test_a_full_disk_is_said_as_python_says_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    def full(*given: Any, **how: Any) -> None:
        raise ValueError(said)

    with Checkpoints(tmp_path, 'auroc', print) as kept:
        monkeypatch.setattr(kept._manager, 'save', full)
        with pytest.raises(OSError, match=told):
            kept.save(1, {'x': jnp.ones(2)}, {})
