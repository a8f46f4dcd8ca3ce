from typing import Any

import jax

from pneumo_jax.benchmark import hlo
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.benchmark.workload import Workload

SCALARS = 2 * 4  # loss and accuracy, float32


def communication(name: str, **fields: Any) -> tuple[dict[str, Any], Workload]:
    model = {'name': name, 'dtype': 'float32', **fields}
    work = Workload(Case('ours', name, model, 28, 2, devices=4))
    return work.ready['communication'], work


def test_an_mlp_sums_its_gradients_and_metrics_once() -> None:
    said, work = communication('mlp', hidden=16)
    count = 784 * 16 + 16 + 16 * 2 + 2
    assert work.ready['parameters'] == count
    assert said['gradients_bytes'] == said['expected_gradient_bytes'] == 4 * count
    assert said['metrics_bytes'] == SCALARS
    assert said['statistics_bytes'] == said['other_bytes'] == said['gradients_missing'] == 0
    assert said['bytes'] == 4 * count + SCALARS
    assert {operation['operation'] for operation in said['operations']} == {'all-reduce'}
    assert not any(operation['asynchronous'] for operation in said['operations'])


def test_batch_norm_adds_its_statistics_and_no_more() -> None:
    said, work = communication('cnn_bn_dropout', features=[3, 5], hidden=7)
    assert said['gradients_bytes'] == 4 * work.ready['parameters']
    assert said['gradients_missing'] == 0
    # Forward two means of each channel, backward at most the gradients of both.
    statistics = sum(leaf.size for leaf in jax.tree.leaves(work.state.batch_stats))
    assert 4 * statistics <= said['statistics_bytes'] <= 8 * statistics
    assert said['other_bytes'] == 0
    assert said['bytes'] == said['gradients_bytes'] + said['statistics_bytes'] + SCALARS


def test_every_form_of_a_collective_is_read() -> None:
    text = """
  %a = (f32[3]{0}, /*index=1*/bf16[2,5]{1,0}) all-reduce-start(%x, %y), op_name="a/all-reduce("
  %b = (f32[3]{0}, bf16[2,5]{1,0}) all-reduce-done(%a)
  %c = f32[] all-reduce(%z), metadata={op_name="jit(step)/reduce_sum"}
  ROOT %d = pred[8]{0:T(128)} all-gather(%w), dimensions={0}
  %e = f32[7]{0} add(%p, %q)
"""
    said = hlo.communication(text, [3, 11], [8])
    assert [tuple(operation.values()) for operation in said['operations']] == [
        ('all-reduce', True, 2, 32),
        ('all-reduce', False, 1, 4),
        ('all-gather', False, 1, 8),
    ]
    assert (said['gradients_bytes'], said['metrics_bytes']) == (12, 4)
    assert (said['statistics_bytes'], said['other_bytes']) == (8, 20)
    assert said['gradients_missing'] == 1


def test_a_gradient_summed_twice_is_not_counted_as_one() -> None:
    said = hlo.communication('%a = (f32[6], f32[6]) all-reduce(%x, %x)', [6])
    assert said['gradients_bytes'] == said['other_bytes'] == 24
