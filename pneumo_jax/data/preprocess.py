"""From stored bytes to what a model is fed."""

import dataclasses
from typing import Any

from pneumo_jax import errors


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """uint8 images [b, h, w, c] -> float32 (image / 255 - mean) / std, inside the compiled step.

    It travels with every checkpoint, so that a model is never fed another size, another number of
    channels or another scale than it was trained on.
    """

    height: int
    width: int
    channels: int
    mean: float = 0.5
    std: float = 0.5

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def __call__(self, images: Any) -> Any:
        """Normalise numpy or jax images; others than the stated ones raise `UserError`."""
        return self.normalise(self.unit(images))

    def unit(self, images: Any) -> Any:
        """uint8 images as float32 from 0 to 1; others than the stated ones raise `UserError`."""
        expected = self.image_shape
        if images.shape[1:] != expected or images.dtype != 'uint8':
            raise errors.UserError(
                f'this model takes uint8 images of shape {expected}; '
                f'{images.dtype} images of shape {tuple(images.shape[1:])} were given.'
            )
        return images.astype('float32') / 255

    def normalise(self, images: Any) -> Any:
        """What a model is fed, from images between 0 and 1."""
        return (images - self.mean) / self.std
