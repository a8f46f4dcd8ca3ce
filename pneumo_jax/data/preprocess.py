"""From stored bytes to what a model is fed."""

import dataclasses
from typing import Any

import numpy as np

from pneumo_jax import errors

Scale = float | tuple[float, ...]  # of all channels, or of each
LEAST_STD = 1 / 32  # of an image between 0 and 1: a blank one is not divided by zero


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """uint8 images [b, h, w, c] -> float32 (image / 255 - mean) / std, inside the compiled step.

    It travels with every checkpoint, so that a model is never fed another size, another number of
    channels or another scale than it was trained on. With a mean and std for each of three channels
    a gray image becomes three channels, each on its own scale. Where images are to `standardise`,
    each has a mean of 0 and a standard deviation of 1 of its own instead, over all its pixels and
    channels, so that brightness and contrast count no more.
    """

    height: int
    width: int
    channels: int
    mean: Scale = 0.5
    std: Scale = 0.5
    standardise: bool = False

    def __post_init__(self) -> None:
        for name in ('mean', 'std'):  # JSON has no tuples, and steps are compiled per preprocess
            value = getattr(self, name)
            if not isinstance(value, float | int):
                object.__setattr__(self, name, tuple(value))
                if len(value) != 3 or self.channels not in (1, 3):
                    raise errors.UserError(
                        f'{name}={value} is for images of 1 or 3 channels; these have '
                        f'{self.channels}: give 3 numbers for those, or one for all channels.'
                    )

        numbers = np.array([*np.ravel(self.mean), *np.ravel(self.std)], np.float64)
        if not (np.isfinite(numbers).all() and np.min(self.std) > 0):
            raise errors.UserError(f'mean={self.mean} and std={self.std} are no scale of images.')

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images it takes."""
        return self.height, self.width, self.channels

    @property
    def fed_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of what a model is fed."""
        several = isinstance(self.mean, tuple) or isinstance(self.std, tuple)
        return self.height, self.width, 3 if several else self.channels

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
        if self.standardise:
            pixels: dict[str, Any] = {'axis': (1, 2, 3), 'keepdims': True}
            std = images.std(**pixels).clip(min=LEAST_STD)
            return (images - images.mean(**pixels)) / std
        return (images - _per_channel(self.mean)) / _per_channel(self.std)


def _per_channel(scale: Scale) -> Any:
    return np.asarray(scale, np.float32) if isinstance(scale, tuple) else scale
