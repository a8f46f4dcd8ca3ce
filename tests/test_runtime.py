import subprocess

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
