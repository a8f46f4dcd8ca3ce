import json
import pathlib
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pneumo_jax import errors
from pneumo_jax.training import log

SCORES = {'loss': 0.25, 'accuracy': 0.5, 'auroc': 0.75, 'n': 4}


def row(epoch: int) -> log.Row:
    return log.row(epoch, 10 * epoch, {'loss': 0.5, 'accuracy': 0.9}, [SCORES], 123.4)


def test_the_line_is_the_notebooks() -> None:
    assert log.line(row(3), 10) == (
        'Epoch 3/10, Train Loss: 0.5000, Train Acc: 0.9000, Val Loss: 0.2500, Val Acc: 0.5000, '
        'Val AUROC: 0.7500, 123 images/s'
    )


def test_several_seeds_have_their_mean_and_each() -> None:
    found = log.row(1, 10, {'loss': 0.5}, [SCORES, {**SCORES, 'auroc': 0.25}], 1.0)
    assert found['val_auroc'] == 0.5
    assert found['val_auroc_of_seeds'] == [0.75, 0.25]
    assert json.loads(json.dumps(found)) == found
    meter = log.Meter()
    meter.add(2, 2, {'loss': np.array([[1.0, 3.0], [5.0, 7.0], [np.nan, np.nan]])})
    assert meter.means() == {'loss': 4.0}


def test_means_are_over_the_epoch_and_survive_a_checkpoint() -> None:
    values = np.random.default_rng(0).random(7).astype(np.float32)
    whole, first = log.Meter(), log.Meter()
    for step, value in enumerate(values, 1):
        whole.add(step, 1, {'loss': value})
        if step <= 4:
            first.add(step, 1, {'loss': value})
    second = log.Meter.of(json.loads(json.dumps(first.state())))
    second.add(7, 3, {'loss': np.append(values[4:], np.nan)})  # what is beyond 3 does not count
    assert second.means() == whole.means()
    np.testing.assert_allclose(whole.means()['loss'], values.astype(np.float64).mean())


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_what_is_not_finite_stops_with_its_step_and_advice(bad: float) -> None:
    meter = log.Meter()
    meter.add(42, 4, {'loss': np.ones(4), 'grad_norm': np.array([1, 1, bad, bad])})
    with pytest.raises(errors.UserError, match=r'training step 41 .* lower --config.optim.lr'):
        meter.state()


def test_what_is_not_finite_stops_before_long() -> None:
    meter = log.Meter()
    with pytest.raises(errors.UserError, match='training step 1 '):
        for step in range(1, log.AT_ONCE + 2):
            meter.add(step, 1, {'loss': np.nan})


def test_rows_after_the_checkpoint_and_a_torn_line_are_dropped(tmp_path: pathlib.Path) -> None:
    with log.Log(tmp_path, 0) as first:
        for epoch in (1, 2, 3):
            first.write(row(epoch))
    with (tmp_path / log.METRICS).open('a') as file:
        file.write('{"epoch": 4, "st')
    assert [one['epoch'] for one in log.read(tmp_path)] == [1, 2, 3]
    log.Log(tmp_path, 20)
    assert log.read(tmp_path) == [row(1), row(2)]


@pytest.mark.parametrize('damaged', ['{"st', '{}', '5', 'null', '{"step": 2}', '[1, 2]'])
def test_a_damaged_row_is_told(tmp_path: pathlib.Path, damaged: str) -> None:
    whole = [json.dumps(row(epoch)) for epoch in (1, 2)]
    (tmp_path / log.METRICS).write_text('\n'.join([whole[0], damaged, whole[1], '']))
    with pytest.raises(errors.UserError, match=r'line 2 is damaged .*: take it out'):
        log.Log(tmp_path, 0)


def test_another_process_of_a_job_writes_nothing(tmp_path: pathlib.Path) -> None:
    with log.Log(tmp_path, 0, enabled=False) as silent:
        silent.write(row(1))
    assert not list(tmp_path.iterdir())


def test_tensorboard_events_hold_the_row(tmp_path: pathlib.Path) -> None:
    with log.Log(tmp_path, 0) as written:
        written.write(row(2))
    (events,) = (tmp_path / 'tensorboard').iterdir()
    found = {
        value.tag: (event.step, value.simple_value)
        for event in _events(events.read_bytes())
        for value in event.summary.value
    }
    assert found['val_auroc'] == (20, 0.75)
    assert found['train_loss'] == (20, 0.5)


def _events(content: bytes) -> Iterator[Any]:
    """TFRecords: an 8-byte length, its checksum, the event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    while content:
        (length,) = struct.unpack('<Q', content[:8])
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def test_an_absent_log_is_empty(tmp_path: pathlib.Path) -> None:
    assert log.read(tmp_path) == []
