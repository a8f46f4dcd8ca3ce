from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from pneumo_jax import runtime
from pneumo_jax.evaluation import scoring


@pytest.mark.parametrize(('size', 'batch_size'), [(10, 4), (8, 4), (3, 8), (7, 5), (1, 1)])
def test_every_image_exactly_once_in_order_on_four_devices(size: int, batch_size: int) -> None:
    mesh = runtime.mesh()
    images = np.random.default_rng(0).integers(0, 256, (size, 2, 2, 1)).astype(np.uint8)
    compiled = []

    def predict(variables: Any, batch: Any) -> Any:
        compiled.append(batch.shape[0])
        return batch.reshape(batch.shape[0], -1).astype('float32') * variables

    everywhere = jax.jit(predict, out_shardings=runtime.replicated(mesh))
    batches = scoring.batches(images, batch_size, mesh)
    found = scoring.logits(everywhere, 2.0, batches, size)
    np.testing.assert_array_equal(found, images.reshape(size, -1) * np.float32(2))
    assert len(compiled) == 1, 'one compiled shape'


def test_a_long_split_is_not_on_the_devices_all_at_once() -> None:
    """A batch is made only when all but the last few before it are scored."""
    parts: list[Any] = []

    class Part(np.ndarray):
        """Logits that are under way until somebody waits for them."""

        under_way = True

        def block_until_ready(self) -> None:
            self.under_way = False

    def batches() -> Iterator[Any]:
        for number in range(30):
            assert sum(part.under_way for part in parts) <= scoring.AHEAD
            yield np.full((1, 1), number)

    def predict(variables: Any, batch: Any) -> Part:
        parts.append(batch.view(Part))
        return parts[-1]

    found = scoring.logits(predict, None, batches(), 29)
    np.testing.assert_array_equal(found[:, 0], range(29))
    assert sum(part.under_way for part in parts) == scoring.AHEAD
