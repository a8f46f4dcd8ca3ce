import functools
import os
import pathlib
import subprocess
import sys
import types
import zlib

import jax
import numpy as np
import pytest

from pneumo_jax import errors, runtime


def test_keys_differ_by_seed_and_purpose_and_repeat() -> None:
    drawn = [
        jax.random.bits(runtime.key(seed, purpose)).item()
        for seed, purpose in [(0, 'init'), (0, 'train'), (1, 'init'), (0, 'init')]
    ]
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3


def test_a_batch_is_spread_over_every_device() -> None:
    batch = {'image': np.arange(8 * 3).reshape(8, 3), 'label': np.arange(8)}
    placed = runtime.shard(batch, runtime.mesh())
    for name, array in batch.items():
        np.testing.assert_array_equal(placed[name], array)
        assert len(placed[name].sharding.device_set) == 4
        assert placed[name].addressable_shards[1].data.shape[0] == 2


def test_a_batch_that_devices_cannot_share_is_refused_with_those_they_can() -> None:
    runtime.check_batch_size('batch_size', 32, 4)
    with pytest.raises(errors.UserError, match=r'batch_size=30 .* over 4 devices.*: 28 and 32'):
        runtime.check_batch_size('batch_size', 30, 4)
    with pytest.raises(errors.UserError, match=r'nearest that do: 4\.'):
        runtime.check_batch_size('batch_size', 3, 4)


def test_a_result_says_where_it_comes_from() -> None:
    origin = runtime.provenance()
    head = subprocess.run(['git', 'rev-parse', 'HEAD'], capture_output=True, text=True)
    assert origin['commit'].removesuffix('+changes') == head.stdout.strip()
    assert origin['versions']['jax'] == jax.__version__
    assert origin['device'].startswith('4 x cpu')
    assert origin['command'].startswith('python ')


def test_a_commit_is_changed_by_code_and_not_by_results(tmp_path: pathlib.Path) -> None:
    def git(*arguments: str) -> None:
        who = ['-c', 'user.name=x', '-c', 'user.email=x@example.org']
        subprocess.run(['git', *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    files = ['package/code.py', 'README.md', 'experiments/a/README.md', 'experiments/a/results/x']
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('1')
    git('init')
    git('add', '.')
    git('commit', '-m', 'x')
    commit = functools.partial(runtime._commit.__wrapped__, tmp_path / 'package')
    clean = commit()
    assert len(clean) == 40
    for name in files[1:]:
        (tmp_path / name).write_text('2')
    assert commit() == clean
    (tmp_path / files[0]).write_text('2')
    assert commit() == clean + '+changes'


def test_a_copy_without_git_is_told_its_commit(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = functools.partial(runtime._commit.__wrapped__, tmp_path)
    assert commit() == 'not a git checkout'
    monkeypatch.setenv('PNEUMO_JAX_COMMIT', 'abc')
    assert commit() == 'abc'


def test_data_lie_whole_on_every_device_and_on_a_cpu_in_one_place() -> None:
    memory = np.zeros(64 * 11, np.uint8)
    start = -memory.ctypes.data % 64
    aligned = memory[start : start + 640].reshape(10, 64)
    placed = runtime.replicate({'image': aligned}, runtime.mesh())['image']
    assert placed.sharding.is_fully_replicated
    places = {part.data.unsafe_buffer_pointer() for part in placed.addressable_shards}
    assert places == {aligned.ctypes.data}


@pytest.mark.parametrize(('stats', 'fits'), [(None, True), (1000, True), (999, False)])
def test_data_stay_on_a_device_where_they_leave_room(
    stats: int | None, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = stats and {'bytes_limit': stats}
    device = types.SimpleNamespace(memory_stats=lambda: told)
    monkeypatch.setattr(jax, 'local_devices', lambda: [device] * 2)
    assert runtime.fits(400) == fits


def test_a_loop_on_the_device_is_for_others_than_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not runtime.prefers_one_program()
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    assert runtime.prefers_one_program()


@pytest.mark.parametrize('home', ['/dev/null', '/proc'])
def test_where_no_folder_can_be_made_no_programs_are_kept(
    home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv('XDG_CACHE_HOME', home)
    try:
        jax.config.update('jax_compilation_cache_dir', None)
        runtime.start()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update('jax_compilation_cache_dir', before)


def entry(folder: pathlib.Path, name: str, content: bytes, used: float) -> pathlib.Path:
    path = folder / f'{name}-cache'
    path.write_bytes(content)
    os.utime(path, (used, used))
    return path


def test_programs_that_were_cut_short_are_dropped(tmp_path: pathlib.Path) -> None:
    whole = zlib.compress(bytes(range(256)) * 100)
    kept = [entry(tmp_path, 'a', whole, 1), entry(tmp_path, 'b', b'\x28\xb5\x2f\xfd...', 2)]
    entry(tmp_path, 'c', whole[:-3], 3)
    entry(tmp_path, 'd', b'', 4)
    runtime.tidy(tmp_path)
    assert sorted(tmp_path.iterdir()) == kept


def test_the_programs_that_were_used_last_are_kept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = zlib.compress(b'program')
    paths = {
        name: entry(tmp_path, name, whole, used)
        for name, used in zip('abcd', (3, 1, 4, 2), strict=True)
    }
    monkeypatch.setattr(runtime, 'CACHE_BYTES', 2 * len(whole))
    runtime.tidy(tmp_path)
    assert sorted(tmp_path.iterdir()) == [paths['a'], paths['c']]


@pytest.mark.parametrize('count', [None, 'two'])
def test_a_job_that_does_not_say_its_size(
    monkeypatch: pytest.MonkeyPatch, count: str | None
) -> None:
    monkeypatch.setattr(runtime, '_keep_programs', lambda: None)
    monkeypatch.setenv('JAX_COORDINATOR_ADDRESS', '127.0.0.1:1')
    monkeypatch.delenv('JAX_NUM_PROCESSES', raising=False)
    if count:
        monkeypatch.setenv('JAX_NUM_PROCESSES', count)
    with pytest.raises(errors.UserError, match='needs whole numbers in JAX_NUM_PROCESSES'):
        runtime.start()


@pytest.mark.parametrize(
    ('address', 'count', 'own'), [('127.0.0.1:1', 2, 5), ('127.0.0.1:1', 0, 0), ('nonsense', 1, 0)]
)
def test_a_job_that_cannot_be_joined(
    environment: dict[str, str], address: str, count: int, own: int
) -> None:
    code = (
        'import sys; from pneumo_jax import doors, runtime; '
        'sys.exit(doors.enter(lambda argv: runtime.start(), []))'
    )
    job = {'JAX_COORDINATOR_ADDRESS': address, 'JAX_NUM_PROCESSES': f'{count}'}
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**environment, **job, 'JAX_PROCESS_ID': f'{own}'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert f'process {own} of {count} cannot join the job at {address}' in done.stderr
