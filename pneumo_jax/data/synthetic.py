"""A made-up data set with the real one's proportions, for trying things out without data.

Like the real one it is imbalanced (74 % ill, 62.5 % in test), shows some patients more than once,
and has a test split from another film export: darker, more spread in brightness and contrast,
blurred, compressed. A score on it says that the code works, and nothing about medicine.
"""

import io

import numpy as np
from jaxtyping import Float, Int, UInt8

from pneumo_jax.data import phantom
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.errors import UserError

COUNTS = {'train': (800, 0.74), 'val': (160, 0.74), 'test': (200, 0.625)}  # images, share of ill
CHUNK = 32  # a field of this many pictures stays in the processor's cache
FILM = {'gain': (0.85, 1.15), 'level': (-0.06, 0.08), 'gamma': (0.85, 1.20), 'grain': (0.01, 0.03)}
SHIFTED_FILM = {
    'gain': (0.60, 1.05), 'level': (-0.12, 0.16), 'gamma': (0.75, 1.35), 'grain': (0.01, 0.03),
}  # fmt: skip


def synthetic(size: int, seed: int) -> Dataset:
    """Phantom radiographs of size x size pixels, 1 channel; the same seed gives the same bits.

    Raises:
      UserError: where `size` is not from 16 to 512.
    """
    if not 16 <= size <= 512:
        raise UserError(f'data.size={size}: synthetic radiographs have from 16 to 512 pixels.')
    train, val, test = (_split(size, seed, name) for name in COUNTS)
    title = f'synthetic phantoms {size} px'
    return Dataset(title, ('Normal', 'Pneumonia'), train, val, test, synthetic=True)


def _split(size: int, seed: int, name: str) -> Split:
    count, share = COUNTS[name]
    # Pixel noise has a generator of its own: all else is then the same picture at every size.
    body, grain = np.random.default_rng([seed, list(COUNTS).index(name)]).spawn(2)
    patient = np.sort(body.integers(0, count // 2, count))
    ill = _labels(body, patient, round(share * count))
    anatomy = phantom.draw_values(body, phantom.ANATOMY, count // 2)
    values = {key: value[patient] for key, value in anatomy.items()}
    values |= phantom.draw_values(body, phantom.POSE, count)
    values |= phantom.draw_values(body, SHIFTED_FILM if name == 'test' else FILM, count)
    order = body.permutation(count)
    images = [
        _pictures(body, grain, {key: value[part] for key, value in values.items()}, ill[part], size)
        for part in np.split(order, range(CHUNK, count, CHUNK))
    ]
    stacked = np.concatenate(images)
    if name == 'test':
        stacked = np.stack([_export(image) for image in stacked])
    groups = np.array([f'{name}-{number}' for number in patient[order]])
    return Split(stacked[..., None], ill[order].astype(np.int32), groups)


def _labels(
    rng: np.random.Generator, patient: Int[np.ndarray, 'n'], count: int
) -> Int[np.ndarray, 'n']:
    """Ill are whole patients, in random order, up to `count` images."""
    rank = rng.permutation(patient.max() + 1)[patient]
    ill = np.zeros(len(patient), np.int32)
    ill[np.lexsort((patient, rank))[:count]] = 1
    return ill


def _pictures(
    rng: np.random.Generator,
    grain: np.random.Generator,
    values: phantom.Values,
    ill: Int[np.ndarray, 'n'],
    size: int,
) -> UInt8[np.ndarray, 'n size size']:
    from PIL import Image

    side, count = min(2 * size, 128), len(ill)
    opacity = _opacity(rng, ill, side)
    texture = 0.6 * (phantom.clouds(rng, count, side, 14) + phantom.clouds(rng, count, side, 30))
    film = phantom.radiograph(values, opacity, texture)
    film = np.clip(film * 1.05 * values['gain'] + values['level'], 0, 1) ** values['gamma']
    films = [Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC) for f in film]
    noise = grain.standard_normal((count, size, size), dtype=np.float32) * values['grain']
    return np.clip((np.stack(films) + noise) * 255, 0, 255).astype(np.uint8)


def _opacity(
    rng: np.random.Generator, ill: Int[np.ndarray, 'n'], side: int
) -> Float[np.ndarray, 'n side side']:
    """How much of the air is filled: lobar consolidations, or haze over both lungs, or a trace."""
    count = len(ill)
    axis = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    cloud = phantom.clouds(rng, count, side, 7)
    lobar = ill[:, None, None] * (rng.random((count, 1, 1)) < 0.6)
    haze = phantom.draw_values(rng, {'ill': (0.35, 0.65), 'well': (0.0, 0.12)}, count)
    total = np.where(ill[:, None, None] & ~lobar, haze['ill'], haze['well']) * (1 + 0.5 * cloud)
    for chance in (1.0, 0.6):
        spot = phantom.draw_values(
            rng,
            {'u': (0.3, 0.6), 'y': (-0.35, 0.45), 'r': (0.22, 0.45), 'fill': (0.5, 1.0)},
            count,
        )
        x = spot['u'] * rng.choice([-1, 1], (count, 1, 1))
        ridge = phantom.bump(axis[None, None, :] - x, spot['r'] * 0.8)
        blob = ridge * phantom.bump(axis[None, :, None] - spot['y'], spot['r'])
        here = lobar * (rng.random((count, 1, 1)) < chance)
        total = total + here * spot['fill'] * blob * (1 + 0.35 * cloud)
    return total.astype(np.float32)


def _export(image: UInt8[np.ndarray, 'size size']) -> UInt8[np.ndarray, 'size size']:
    """What another archive did to the picture: a little blur, a strong JPEG compression."""
    from PIL import Image, ImageFilter

    blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(image.shape[0] / 140))
    file = io.BytesIO()
    blurred.save(file, 'JPEG', quality=45)
    return np.asarray(Image.open(file))
