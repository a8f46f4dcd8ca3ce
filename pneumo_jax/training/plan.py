"""How long a run is, and where its epochs end."""

import dataclasses
from collections.abc import Iterator

from pneumo_jax import errors
from pneumo_jax.data import order


@dataclasses.dataclass(frozen=True)
class Plan:
    """`total` steps of `batch_size` images, out of a training set of `size`."""

    size: int
    batch_size: int
    total: int

    @classmethod
    def of(cls, size: int, batch_size: int, epochs: int, steps: int) -> 'Plan':
        """A plan for `steps` steps, or for `epochs` epochs where `steps` is 0.

        Raises:
            UserError: a batch is larger than the training set.
        """
        if batch_size > size:
            raise errors.UserError(
                f'config.batch_size={batch_size} is more than the {size} training images; '
                f'give --config.batch_size={size} or less.'
            )
        return cls(size, batch_size, steps or order.epoch_end(epochs, size, batch_size))

    @property
    def epochs(self) -> int:
        """The number of epochs; `total` may cut the last one short."""
        found = max(self.total * self.batch_size // self.size, 1)
        while order.epoch_end(found, self.size, self.batch_size) < self.total:
            found += 1
        return found

    def epochs_after(self, step: int) -> Iterator[tuple[int, int]]:
        """(epoch, its last step), both from 1, for the epochs that are not over at `step`."""
        epoch, end = 0, 0
        while end < self.total:
            epoch += 1
            end = min(self.total, order.epoch_end(epoch, self.size, self.batch_size))
            if end > step:
                yield epoch, end

    def pause(self, step: int, end: int, every: int) -> int:
        """The next step after `step` at which something happens: a checkpoint, or the epoch's end.

        `every` is the number of steps between checkpoints, 0 for none.
        """
        return min(end, (step // every + 1) * every) if every else end

    def steps_in(self, epochs: float) -> int:
        """The number of steps nearest to `epochs` epochs."""
        return round(epochs * self.size / self.batch_size)
