import numpy as np

from pneumo_jax.data.dataset import Dataset, Split


def _dataset(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    splits = [
        Split(rng.integers(0, 256, (4, 6, 5, 3)).astype(np.uint8), np.arange(4) % 2)
        for _ in range(3)
    ]
    return Dataset('a title', ('no', 'yes'), *splits)


def test_the_digest_tells_data_apart() -> None:
    assert _dataset().digest == _dataset().digest
    assert _dataset().digest != _dataset(1).digest
    changed = _dataset()
    changed.test.images[0, 0, 0, 0] ^= 1
    assert changed.digest != _dataset().digest


def test_the_image_shape_is_height_width_channels() -> None:
    assert _dataset().image_shape == (6, 5, 3)
    assert len(_dataset().train) == 4
