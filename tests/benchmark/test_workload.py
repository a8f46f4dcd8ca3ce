import pathlib
from typing import Any

import jax
import numpy as np
import pytest

from pneumo_jax import errors, runtime
from pneumo_jax.benchmark import images, workload
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.workload import Workload
from pneumo_jax.data import order

BATCH = 64


def case(name: str, **more: Any) -> Case:
    fields = {'mlp': {'hidden': 32}, 'cnn': {'features': [4, 8], 'kernel': 3, 'hidden': 16}}
    return Case('ours', name, {'name': name, 'dtype': 'float32', **fields[name]}, 28, 16, **more)


def taps(length: int) -> int:
    """Over the outputs of a row, the taps of a kernel of 3 that meet it."""
    return 3 * length - 2


# Multiplications of an image and step by hand: forward, and again for each of the two gradients,
# less that of the pixels.
PRODUCTS = {
    'mlp': 2 * 784 * 32 + 3 * 32 * 2,
    'cnn': (
        28 * 7 * (3 * 6) * (4 * 4)  # four neighbours at once
        + taps(28) ** 2 * 1 * 4
        + 3 * taps(14) ** 2 * 4 * 8
        + 3 * 7 * 7 * 8 * 16
        + 3 * 16 * 2
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', PRODUCTS)
def test_operations_are_those_counted_by_hand(name: str) -> None:
    work = Workload(case(name, devices=4))
    products = 2 * PRODUCTS[name] * BATCH
    parameters = work.ready['parameters']
    elementwise = work.ready['flops_per_step'] - products
    # Adam, and a few operations for each pixel and for each number of the widest layer.
    widest = BATCH * {'mlp': 784, 'cnn': 784 * 4}[name]
    assert 10 * parameters < elementwise < 20 * parameters + 20 * widest


def test_where_a_compiler_does_not_count_a_cpus_counts_the_librarys_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = iter([None, 7.0])
    monkeypatch.setattr(workload, 'flops', lambda lowered: next(told))
    work = Workload(case('cnn', devices=4))
    assert work.ready['flops_per_step'] == 7.0
    monkeypatch.undo()
    # Of the pixels' convolution the gradient of the kernel, as the library has it.
    products = PRODUCTS['cnn'] - 28 * 7 * (3 * 6) * (4 * 4) + taps(28) ** 2 * 1 * 4
    elementwise = (
        workload.flops(work._on_cpu(work.state, work.batch, work.key)) - 2 * products * BATCH
    )
    parameters = work.ready['parameters']
    assert 10 * parameters < elementwise < 20 * parameters + 20 * BATCH * 784 * 4


def test_a_compiler_that_does_not_count_is_believed() -> None:
    class Silent:
        def __init__(self, said: Any) -> None:
            self.said = said

        def cost_analysis(self) -> Any:
            return self.said

    assert workload.flops(Silent(None)) is None
    assert workload.flops(Silent({})) is None
    assert workload.flops(Silent({'flops': -1.0})) is None
    assert workload.flops(Silent({'flops': 5.0})) == 5.0


def test_steps_train_and_forward_does_not() -> None:
    work = Workload(case('mlp', devices=4))
    first = work.step()
    for _ in range(20):
        last = work.step()
    assert last['loss'] < first['loss']
    state = jax.tree.map(np.array, work.state)
    assert work.forward().shape == (BATCH, 2)
    jax.tree.map(np.testing.assert_array_equal, state, work.state)


def test_seeds_differ_and_the_first_is_the_single_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = runtime.mesh()
    one = jax.sharding.Mesh(mesh.devices[:1], mesh.axis_names, axis_types=mesh.axis_types)
    monkeypatch.setattr(runtime, 'mesh', lambda: one)
    several, single = Workload(case('mlp', seeds=3)), Workload(case('mlp'))
    kernels = [state.params['fc2']['kernel'] for state in several.state]
    assert len(kernels) == 3
    assert len({float(kernel.sum()) for kernel in kernels}) == 3
    assert several.ready['parameters'] == single.ready['parameters']
    per_seed = several.ready['flops_per_step'] / 3
    assert per_seed == pytest.approx(single.ready['flops_per_step'], rel=0.01)
    # A step was taken by each.
    np.testing.assert_array_equal(kernels[0], single.state.params['fc2']['kernel'])


def test_other_devices_than_the_case_names_are_refused() -> None:
    with pytest.raises(errors.UserError, match='1 devices are to be measured, and jax finds 4'):
        Workload(case('mlp'))


def test_peak_memory_is_of_this_process() -> None:
    before = workload.peak_resident_bytes()
    kept = np.ones(2**25)  # 256 MB
    assert workload.peak_resident_bytes() >= max(before, kept.nbytes)
    assert before < 2**35


@pytest.mark.parametrize('stays', [True, False])
def test_input_is_the_next_batch_of_the_data_set(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    monkeypatch.setattr(runtime, 'fits', lambda nbytes: stays)
    stored = images.drawn(case('mlp'), 100)
    path = images.write(tmp_path / 'data.npz', stored)
    work = Workload(case('mlp', devices=4, data=str(path)))
    work.input()
    chosen = order.indices(0, 1, 100, BATCH)
    expected = (stored.train.images[chosen] / 255 - 0.5) / 0.5
    np.testing.assert_allclose(np.asarray(work.input()), expected, atol=1e-6)
