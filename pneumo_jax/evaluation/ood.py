"""Refuses what is not a chest radiograph, upright and not inverted.

Fitted on the training images alone, with no model and no examples of what is to be refused. An
image becomes a thumbnail of 9 x 9, with its brightness and contrast taken out, and is refused for
one of two reasons:

- it is far from the training images, by Mahalanobis distance (Lee et al. 2018, arXiv:1807.03888,
  there of a net's features) with a shrunk covariance (Ledoit & Wolf 2004);
- turned, upside down or inverted it would be nearer to them, or nearly so. A blank is the same
  however it is turned, and is refused for this reason.

Half of the stated false alarm rate belongs to either reason.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8

SIDE = 9  # none of 6 to 12 lets a turned val image pass; at 8 more photographs do, at 10 no fewer
FAINT = 8.0  # grey levels; below it contrast is not raised to the full
RATE = 0.01  # of false alarms on val
NOTHING = 1e-9  # a squared distance
CHUNK = 256  # images at a time: 50 MB of floats at 224 px


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """What `fit` found: plain arrays.

    `limits` bound the distance, and its ratio to the least distance of the image turned.
    """

    mean: Float[np.ndarray, ' d']
    precision: Float[np.ndarray, 'd d']
    limits: Float[np.ndarray, ' 2']

    def accepts(self, images: UInt8[np.ndarray, 'n h w c']) -> Bool[np.ndarray, ' n']:
        """Whether each image may be a radiograph as those that the run was trained on."""
        return np.all(_measure(images, self.mean, self.precision) <= self.limits, 1)


def fit(
    train: UInt8[np.ndarray, 'n h w c'], val: UInt8[np.ndarray, 'm h w c'], rate: float = RATE
) -> Detector:
    """Distances from `train`, with limits that refuse the share `rate` of images such as `val`.

    The limits are conformal: each is exceeded by a further such image with a chance of at most
    rate / 2, or 1 / (m + 1) where val is too small for that.
    """
    from sklearn.covariance import LedoitWolf

    found = LedoitWolf().fit(_features(_thumbnails(train)))
    values = np.sort(_measure(val, found.location_, found.precision_), 0)
    rank = min(int(np.ceil((len(val) + 1) * (1 - rate / 2))), len(val))
    # A limit is an image's own value: rounding elsewhere must not push that image beyond it.
    return Detector(found.location_, found.precision_, values[rank - 1] * (1 + 1e-9))


def changes(images: Num[np.ndarray, 'n h w c']) -> dict[str, Num[np.ndarray, 'n h w c']]:
    """Images from 0 to 255 as they should not come: inverted, turned, upside down."""
    turned = {f'turned by {90 * i} degrees': np.rot90(images, i, (1, 2)) for i in (1, 2, 3)}
    return {'inverted': 255 - images, **turned, 'upside down': images[:, ::-1]}


def _measure(
    images: UInt8[np.ndarray, 'n h w c'],
    mean: Float[np.ndarray, ' d'],
    precision: Float[np.ndarray, 'd d'],
) -> Float[np.ndarray, 'n 2']:
    """The squared distance, and its ratio to the least one of the image turned or inverted."""

    def distance(small: Float[np.ndarray, 'n a b c']) -> Float[np.ndarray, ' n']:
        apart = _features(small) - mean
        return ((apart @ precision) * apart).sum(1)

    small = _thumbnails(images)
    own = distance(small)
    least = np.min([distance(x) for x in changes(small).values()], 0)
    return np.stack([own, (own + NOTHING) / (least + NOTHING)], 1)  # where all are blank: 1


def _thumbnails(images: UInt8[np.ndarray, 'n h w c']) -> Float[np.ndarray, 'n a b c']:
    """Means over 9 x 9 equal parts of every image, whatever its size."""
    rows, columns = (_shrink(size) for size in images.shape[1:3])
    return np.concatenate(
        [
            np.einsum('nawc,bw->nabc', np.einsum('ah,nhwc->nawc', rows, part), columns)
            for part in np.split(images, range(CHUNK, len(images), CHUNK))
        ]
    )


def _shrink(size: int) -> Float[np.ndarray, 'side size']:
    """The matrix that averages `size` pixels to `SIDE`, each by the part of it that belongs."""
    edges, pixels = np.arange(SIDE + 1) * size / SIDE, np.arange(size)
    ends = np.minimum(edges[1:, None], pixels + 1)
    shares = np.clip(ends - np.maximum(edges[:-1, None], pixels), 0, None)
    return shares / shares.sum(1, keepdims=True)


def _features(small: Float[np.ndarray, 'n a b c']) -> Float[np.ndarray, 'n d']:
    """Thumbnails of mean 0 and a standard deviation of nearly 1."""
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / (flat.std(1, keepdims=True) + FAINT)
