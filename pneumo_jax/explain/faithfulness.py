"""Whether a map shows what the model goes by: deletion and insertion.

Petsiuk et al. 2018, RISE (arXiv:1806.07421). Pixels are taken in the order of the map, the highest
first. Deletion turns them to the image's mean gray, and the probability of the class should fall
soon; insertion gives them back to a blurred image, and it should rise soon. Pixels torn from their
image are images that no model was trained on, so that a random order counts as well: a method is
worth what it is better than those.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8

from pneumo_jax.explain import programs
from pneumo_jax.trained import Member

STEPS = 20
BLUR = 0.1  # of the height: the sd of the blurred image's filter
GRID = 7  # cells a side of the coarse random map

Images = UInt8[np.ndarray, 'n h w c']
Maps = Float[np.ndarray, 'n h w']


def areas(
    member: Member, images: Images, targets: Int[np.ndarray, ' n'], maps: Maps
) -> tuple[Float[np.ndarray, ' n'], Float[np.ndarray, ' n']]:
    """Areas under the curves of deletion (less is better) and insertion (more is better), 0 to 1.

    The curves are the probability of the target against the share of pixels that were changed.
    """
    unit = member.preprocess.unit(images)
    gray = np.broadcast_to(unit.mean((1, 2), keepdims=True), unit.shape)
    deletion = _area(member, unit, gray, targets, maps)
    return deletion, _area(member, blurred(unit), unit, targets, maps)


def random_maps(shape: tuple[int, int, int], seed: int = 0) -> dict[str, Maps]:
    """Maps that know nothing, of single pixels and of patches, for n, h, w."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((shape[0], GRID, GRID), np.float32)
    return {
        'random pixels': rng.random(shape, np.float32),
        'random patches': programs.resized(coarse, *shape[1:]),
    }


def blurred(unit: Float[np.ndarray, 'n h w c']) -> Float[np.ndarray, 'n h w c']:
    """Images under a Gaussian filter."""
    from scipy.ndimage import gaussian_filter

    sd = BLUR * unit.shape[1]
    return gaussian_filter(unit, (0, sd, sd, 0))


def _area(
    member: Member,
    before: Float[np.ndarray, 'n h w c'],
    after: Float[np.ndarray, 'n h w c'],
    targets: Int[np.ndarray, ' n'],
    maps: Maps,
) -> Float[np.ndarray, ' n']:
    from scipy.special import expit

    count = len(maps)
    ranks = (-maps.reshape(count, -1)).argsort(1, kind='stable').argsort(1)
    shares = (ranks / ranks.shape[1]).reshape(maps.shape)[..., None]

    def at(index: Int[np.ndarray, ' b'], step: Int[np.ndarray, ' b']) -> np.ndarray:
        changed = shares[index] < step[:, None, None, None] / STEPS
        seen = np.where(changed, after[index], before[index])
        return programs.scores(member, seen, targets[index])

    pairs = np.indices((count, STEPS + 1)).reshape(2, -1)
    log_odds = programs.in_batches(member, at, *pairs).reshape(count, -1)
    return np.asarray(np.trapezoid(expit(log_odds.astype(np.float64)), dx=1 / STEPS))
