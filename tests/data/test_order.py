import numpy as np
import pytest

from pneumo_jax.data import order


@pytest.mark.parametrize(('size', 'batch_size'), [(10, 3), (7, 7), (12, 5), (100, 32)])
def test_every_image_comes_exactly_once_an_epoch(size: int, batch_size: int) -> None:
    steps = 3 * size
    stream = np.concatenate([order.indices(1, step, size, batch_size) for step in range(steps)])
    for epoch in stream[: len(stream) // size * size].reshape(-1, size):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(size))


def test_the_order_is_a_function_of_seed_and_step() -> None:
    order.permutation.cache_clear()
    alone = order.indices(3, 41, 100, 8)
    order.permutation.cache_clear()
    for step in range(41):
        order.indices(3, step, 100, 8)
    np.testing.assert_array_equal(order.indices(3, 41, 100, 8), alone)
    assert not np.array_equal(order.indices(4, 41, 100, 8), alone)


def test_many_steps_are_the_steps_one_by_one() -> None:
    many = order.batches(1, 5, 4, 10, 3)
    assert many.shape == (4, 3)
    for row, step in zip(many, range(5, 9), strict=True):
        np.testing.assert_array_equal(row, order.indices(1, step, 10, 3))


def test_epochs_differ() -> None:
    assert not np.array_equal(order.permutation(0, 0, 50), order.permutation(0, 1, 50))


def test_an_epoch_ends_with_its_last_whole_batch() -> None:
    assert [order.epoch_end(epoch, 10, 4) for epoch in (1, 2, 3)] == [2, 5, 7]
