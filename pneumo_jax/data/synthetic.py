"""A drawn data set with the proportions of the real one, to try things out without data.

Like PneumoniaMNIST it is imbalanced (74 % ill, 62.5 % in test), shows some patients more than once,
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
CHUNK = 32  # few enough pictures that a field of them stays in the processor's cache
# Lowest and highest value: how the film was exposed, and a haze that means nothing.
FILM = {
    'gain': (0.85, 1.15), 'level': (-0.06, 0.08), 'gamma': (0.85, 1.20), 'grain': (0.01, 0.03),
    'haze': (0.00, 0.10),
}  # fmt: skip
EXPORTED = FILM | {
    'gain': (0.45, 0.90), 'level': (-0.04, 0.20), 'gamma': (0.75, 1.30), 'haze': (0.00, 0.20),
}  # fmt: skip
DIFFUSE = {'filled': (0.40, 0.70)}
SPOT = {'x': (0.30, 0.60), 'y': (-0.35, 0.45), 'radius': (0.26, 0.48), 'filled': (0.6, 1.0)}


def synthetic(size: int, seed: int) -> Dataset:
    """Phantom radiographs [n, size, size, 1]: 800 to train on, 160 val, 200 test.

    The same seed gives the same bits, and the same patients at every size.

    Raises:
      UserError: where `size` is not from 16 to 512.
    """
    if not 16 <= size <= 512:
        raise UserError(f'data.size={size}: synthetic radiographs have from 16 to 512 pixels.')
    train, val, test = (_split(size, seed, name) for name in COUNTS)
    classes = ('Normal', 'Pneumonia')
    return Dataset(f'synthetic phantoms {size} px', classes, train, val, test, synthetic=True)


def _split(size: int, seed: int, name: str) -> Split:
    count, share = COUNTS[name]
    # The pixel noise has a generator of its own, as its draws are more at a larger size.
    rng, grain = np.random.default_rng([seed, list(COUNTS).index(name)]).spawn(2)
    patients = count // 2
    patient = rng.integers(0, patients, count)
    ill = np.zeros(count, np.int32)
    ill[np.argsort(patient, kind='stable')[: round(share * count)]] = 1
    table = phantom.ANATOMY
    values = {key: value[patient] for key, value in phantom.draw(rng, table, patients).items()}
    values |= phantom.draw(rng, phantom.POSE, count)
    values |= phantom.draw(rng, EXPORTED if name == 'test' else FILM, count)
    images = [
        _pictures(rng, grain, {key: value[part] for key, value in values.items()}, ill[part], size)
        for part in np.split(np.arange(count), range(CHUNK, count, CHUNK))
    ]
    pixels = np.concatenate(images)
    if name == 'test':
        pixels = np.stack([_exported(image) for image in pixels])
    return Split(pixels[..., None], ill, np.array([f'{name}-{number}' for number in patient]))


def _pictures(
    rng: np.random.Generator,
    grain: np.random.Generator,
    values: phantom.Values,
    ill: Int[np.ndarray, ' n'],
    size: int,
) -> UInt8[np.ndarray, 'n size size']:
    from PIL import Image

    side, count = min(2 * size, 112), len(ill)
    opacity = _opacity(rng, ill[:, None, None] == 1, values['haze'], side)
    texture = 0.6 * (phantom.clouds(rng, count, side, 14) + phantom.clouds(rng, count, side, 30))
    film = phantom.radiograph(values, opacity, texture)
    film = np.clip(1.05 * film * values['gain'] + values['level'], 0, 1) ** values['gamma']
    sized = [Image.fromarray(f).resize((size, size), Image.Resampling.BICUBIC) for f in film]
    noise = values['grain'] * grain.standard_normal((count, size, size), dtype=np.float32)
    return np.clip(255 * (np.stack([np.asarray(f) for f in sized]) + noise), 0, 255).astype(
        np.uint8
    )


def _opacity(
    rng: np.random.Generator, ill: np.ndarray, haze: np.ndarray, side: int
) -> Float[np.ndarray, 'n side side']:
    """The part of the air that is filled: one or two consolidations, or haze over both lungs."""
    count = len(ill)
    cloud = phantom.clouds(rng, count, side, 7)
    focal = ill & (rng.random((count, 1, 1)) < 0.6)
    diffuse = phantom.draw(rng, DIFFUSE, count)['filled']
    filled = np.where(ill & ~focal, diffuse, haze) * (1 + 0.5 * cloud)
    axis = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    for chance in (1.0, 0.6):
        spot = phantom.draw(rng, SPOT, count)
        x = axis[None, None, :] - spot['x'] * rng.choice([-1, 1], (count, 1, 1))
        y = axis[None, :, None] - spot['y']
        blob = phantom.bump(x, 0.8 * spot['radius']) * phantom.bump(y, spot['radius'])
        here = focal & (rng.random((count, 1, 1)) < chance)
        filled += here * spot['filled'] * blob * (1 + 0.35 * cloud)
    return filled.astype(np.float32)


def _exported(image: UInt8[np.ndarray, 'size size']) -> UInt8[np.ndarray, 'size size']:
    """What another archive does to a picture: a little blur, a strong JPEG compression."""
    from PIL import Image, ImageFilter

    blurred = Image.fromarray(image).filter(ImageFilter.GaussianBlur(len(image) / 140))
    file = io.BytesIO()
    blurred.save(file, 'JPEG', quality=45)
    return np.asarray(Image.open(file))
