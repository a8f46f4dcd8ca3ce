import pathlib

import pytest

from pneumo_jax import errors
from pneumo_jax.benchmark import cases, starter
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.starter import Starter


def test_environments_say_which_devices_and_where_to_meet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv('XLA_FLAGS', '--xla_force_host_platform_device_count=8 --other')
    monkeypatch.setenv('JAX_PROCESS_ID', '5')
    monkeypatch.setenv('JAX_NUM_CPU_DEVICES', '4')
    case = Case('ours', 'mlp', {}, 28, 8, devices=2, processes=2)
    found = Starter(tmp_path, 'python', ('3', '4', '5', '6')).environment(case, 1, 'x:1')
    assert found['XLA_FLAGS'] == '--other --xla_force_host_platform_device_count=2'
    assert found['CUDA_VISIBLE_DEVICES'] == '5,6'
    assert [found[name] for name in starter.JOINING] == ['x:1', '2', '1']
    assert starter.DEVICES not in found
    alone = Case('ours', 'mlp', {}, 28, 8)
    assert not set(starter.JOINING) & set(Starter(tmp_path, 'python').environment(alone, 0, ''))


def test_only_the_notebook_has_malloc_as_it_comes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('GLIBC_TUNABLES', 'glibc.malloc.hugetlb=1')
    made = Starter(tmp_path, 'python')
    for variant, kept in ((cases.OURS, True), ('torch eager', True), (cases.NOTEBOOK, False)):
        case = Case(variant, 'cnn', {}, 28, 8)
        assert ('GLIBC_TUNABLES' in made.environment(case, 0, '')) == kept


def test_jax_that_does_not_start_is_one_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('JAX_PLATFORMS', 'abacus')
    with pytest.raises(errors.UserError, match=r'jax does not start here: .*abacus') as caught:
        Starter(tmp_path, 'python').machine(rates=False)
    assert '\n' not in str(caught.value)
