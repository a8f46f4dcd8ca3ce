import pytest

from pneumo_jax import errors
from pneumo_jax.training.plan import Plan


def test_epochs_end_where_their_batches_do() -> None:
    plan = Plan.of(10, 4, epochs=3, steps=0)
    assert plan.total == 7
    assert list(plan.epochs_after(0)) == [(1, 2), (2, 5), (3, 7)]
    assert plan.epochs == 3


@pytest.mark.parametrize(('step', 'left'), [(1, [1, 2, 3]), (2, [2, 3]), (4, [2, 3]), (7, [])])
def test_what_is_left_after_a_step(step: int, left: list[int]) -> None:
    plan = Plan.of(10, 4, epochs=3, steps=0)
    assert [epoch for epoch, _ in plan.epochs_after(step)] == left


def test_steps_cut_the_last_epoch_short() -> None:
    plan = Plan.of(10, 4, epochs=99, steps=4)
    assert list(plan.epochs_after(0)) == [(1, 2), (2, 4)]


@pytest.mark.parametrize('size', [4, 5, 10, 13])
@pytest.mark.parametrize('batch_size', [1, 3, 4])
def test_epochs_are_counted_without_going_through_them(size: int, batch_size: int) -> None:
    for total in range(1, 40):
        plan = Plan(size, batch_size, total)
        assert plan.epochs == len(list(plan.epochs_after(0)))
    assert Plan(4708, 128, 10**9).epochs == 27_187_766


@pytest.mark.parametrize(
    ('step', 'end', 'every', 'pause'),
    [(0, 9, 0, 9), (0, 9, 4, 4), (3, 9, 4, 4), (4, 9, 4, 8), (8, 9, 4, 9), (7, 8, 4, 8)],
)
def test_the_next_pause(step: int, end: int, every: int, pause: int) -> None:
    assert Plan.of(10, 1, epochs=3, steps=0).pause(step, end, every) == pause


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(errors.UserError, match=r'more than the 10 .*batch_size=10 or less'):
        Plan.of(10, 11, epochs=1, steps=0)


def test_epochs_in_steps() -> None:
    assert Plan.of(100, 8, 1, 0).steps_in(0.5) == 6
