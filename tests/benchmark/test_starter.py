import pathlib

import pytest

from pneumo_jax.benchmark import starter
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.starter import Starter


def test_environments_say_which_devices_and_where_to_meet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv('XLA_FLAGS', '--xla_force_host_platform_device_count=8 --other')
    monkeypatch.setenv('JAX_PROCESS_ID', '5')
    case = Case('ours', 'mlp', {}, 28, 8, devices=2, processes=2)
    found = Starter(tmp_path, 'python', ('3', '4', '5', '6')).environment(case, 1, 'x:1')
    assert found['XLA_FLAGS'] == '--other --xla_force_host_platform_device_count=2'
    assert found['CUDA_VISIBLE_DEVICES'] == '5,6'
    assert [found[name] for name in starter.JOINING] == ['x:1', '2', '1']
    alone = Case('ours', 'mlp', {}, 28, 8)
    assert not set(starter.JOINING) & set(Starter(tmp_path, 'python').environment(alone, 0, ''))
