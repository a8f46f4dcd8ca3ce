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
    batches = []

    def predict(variables: Any, batch: Any) -> Any:
        batches.append(batch.shape[0])
        return batch.reshape(batch.shape[0], -1).astype('float32') * variables

    everywhere = jax.jit(predict, out_shardings=runtime.replicated(mesh))
    found = scoring.logits(everywhere, 2.0, images, batch_size=batch_size, mesh=mesh)
    np.testing.assert_array_equal(found, images.reshape(size, -1) * np.float32(2))
    assert len(batches) == 1, 'one compiled shape'
