"""Steps, however they are fed."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
import pytest

from pneumo_jax import errors, models, runtime
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.training import programs, seeds
from pneumo_jax.training.checkpoint import digest
from pneumo_jax.training.plan import Plan

RNG = np.random.default_rng(0)
TRAIN, VAL = (
    Split(RNG.integers(0, 256, (n, 16, 16, 1)).astype(np.uint8), (np.arange(n) % 2).astype('i4'))
    for n in (40, 10)
)
TOTAL = 10
# A dropout-free net, but augmentation must draw the same numbers for a seed, alone or among others.
RECIPE = programs.Recipe(
    ema=0.9, augment=lambda key, x: x * jax.random.uniform(key, (len(x), 1, 1, 1), minval=0.5)
)


def make(channels: int = 1, of: Sequence[int] = (0,)) -> programs.Programs:
    return programs.Programs(
        models.create('cnn_bn_dropout', num_classes=2, features=(4, 4), hidden=8),
        optax.adam(1e-2),
        Preprocess(16, 16, channels),
        Plan(len(TRAIN), 8, TOTAL),
        train=TRAIN,
        val=VAL,
        mesh=runtime.mesh(),
        seeds=of,
        eval_batch_size=8,
        recipe=RECIPE,
    )


def train(made: programs.Programs, *stops: int) -> tuple[Any, dict[str, np.ndarray], Any]:
    """(state, metrics of every step, val logits) after all steps, with a pause at `stops`."""
    state, step, told = made.init(), 0, []
    while step < TOTAL:
        end = next((stop for stop in stops if stop > step), TOTAL)
        state, count, metrics = made.advance(state, step, end)
        step += count
        told.append(jax.tree.map(lambda row, n=count: np.asarray(row)[:n], metrics))
    metrics = jax.tree.map(lambda *rows: np.concatenate(rows), *told)
    return jax.device_get(state), metrics, made.val_logits(seeds.scored(state))


@pytest.fixture(scope='module')
def single() -> Any:
    """One step at a time on data that the devices hold, as on a CPU."""
    return train(make())


def assert_same(found: Any, wanted: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), found, wanted)


def test_a_loop_on_the_device_is_the_steps_one_by_one(
    single: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, 'prefers_one_program', lambda: True)
    monkeypatch.setattr(programs, 'LONGEST', 4)
    made = make()
    looped = train(made)
    assert_same(looped, single)
    again = train(made, 1, 3, 9)
    np.testing.assert_array_equal(again[1]['loss'], looped[1]['loss'])
    assert [*map(fingerprint, again[:1])] == [*map(fingerprint, looped[:1])], 'wherever it is cut'


def test_images_are_chosen_for_many_steps_wherever_training_goes_on(
    single: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, 'LONGEST', 4)
    first, second = make(), make()
    assert fingerprint(train(first)[0]) == fingerprint(single[0])
    state = first.init()
    for step in range(TOTAL):  # the second goes on in the middle of four
        state, *_ = (first if step < 6 else second).advance(state, step, step + 1)
    assert fingerprint(state) == fingerprint(single[0])


def fingerprint(state: Any) -> str:
    return digest(jax.tree.map(jax.numpy.asarray, state))


def test_images_that_do_not_fit_are_sent_batch_by_batch(
    single: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, 'fits', lambda nbytes: nbytes < 50 * 16 * 16)
    monkeypatch.setattr(runtime, 'prefers_one_program', lambda: True)
    monkeypatch.setattr(runtime, 'replicate', lambda tree, mesh: pytest.fail('all are sent'))
    assert_same(train(make()), single)


@pytest.mark.parametrize('how', ['steps', 'one program', 'sent', 'sent to one program'])
def test_several_seeds_are_the_seeds_one_by_one(
    single: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, 'prefers_one_program', lambda: 'one program' in how)
    if 'sent' in how:
        monkeypatch.setattr(runtime, 'fits', lambda nbytes: False)
    together = train(make(of=(4, 0)))
    state, metrics, logits = together
    assert logits.shape == (2, len(VAL), 2)
    assert metrics['loss'].shape == (TOTAL, 2)
    second = state[1], metrics['loss'][:, 1], logits[1]
    assert_same(second, (single[0], single[1]['loss'], single[2]))
    if how == 'steps':  # the same program
        assert fingerprint(state[1]) == fingerprint(single[0])
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_logits_of_any_images(single: Any) -> None:
    made = make()
    state, _, wanted = train(made)
    np.testing.assert_allclose(made.logits(state.scored, VAL.images), wanted, atol=1e-6)
    assert made.logits(state.scored, TRAIN.images[:13]).shape == (13, 2)


def test_what_cannot_be_compiled_is_said_by_the_first_call() -> None:
    made = make(channels=3)
    with pytest.raises(errors.UserError, match='takes uint8 images of shape'):
        train(made)
