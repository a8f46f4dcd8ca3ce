"""Phantom chest radiographs: a thorax drawn from smooth shapes, many at once.

No real patient is imitated. The shapes follow the frontal view of an anatomy atlas, so that a
picture reads as a chest radiograph, and a pneumonia as an opacity in a lung. Lengths are in half
image widths: x runs from -1 (the patient's right) to 1, y from -1 (the neck) to 1.
"""

import numpy as np
from jaxtyping import Float

Field = Float[np.ndarray, 'n side side']
Values = dict[str, Float[np.ndarray, 'n 1 1']]

# Lowest and highest value of what differs between patients, and between images of one patient.
ANATOMY = {
    'torso': (0.90, 1.02), 'neck': (0.24, 0.34), 'shoulder': (-0.92, -0.84),
    'lung_width': (0.29, 0.34), 'lung_x': (0.43, 0.47), 'apex': (-0.80, -0.72),
    'base': (0.60, 0.76), 'dome': (0.16, 0.26), 'air': (0.36, 0.44),
    'heart_x': (0.10, 0.18), 'heart_y': (0.30, 0.38), 'heart_width': (0.36, 0.44),
    'heart_tilt': (0.5, 0.9), 'mediastinum': (0.16, 0.22),
    'spine': (0.05, 0.10), 'vertebra': (0.12, 0.14),
    'rib_gap': (0.17, 0.20), 'rib_phase': (0.0, 1.0), 'rib': (0.13, 0.20),
    'rib_drop': (0.70, 0.95), 'clavicle': (0.12, 0.18), 'clavicle_y': (-0.64, -0.56),
    'bubble': (-0.10, 0.14), 'hilum': (0.05, 0.10), 'markings': (0.01, 0.03),
}  # fmt: skip
POSE = {
    'angle': (-0.06, 0.06), 'zoom': (1.00, 1.14), 'right': (-0.05, 0.05), 'down': (-0.04, 0.06),
    'breath': (-0.06, 0.04),
}  # fmt: skip


def draw(rng: np.random.Generator, table: dict[str, tuple[float, float]], count: int) -> Values:
    """Uniform draws for `count` patients or images, ready to broadcast over pixels."""
    return {
        name: rng.uniform(low, high, (count, 1, 1)).astype(np.float32)
        for name, (low, high) in table.items()
    }


def clouds(rng: np.random.Generator, count: int, side: int, cells: int) -> Field:
    """Smooth noise (a cubic B-spline over `cells` random cells to a side) of about unit variance.

    The draws depend on `cells` alone, so that a larger picture shows the same clouds.
    """
    grid = rng.standard_normal((count, cells + 3, cells + 3), dtype=np.float32)
    at = (np.arange(side, dtype=np.float32) + 0.5) * (cells / side) + 1
    far = np.abs(at[:, None] - np.arange(cells + 3, dtype=np.float32))
    near = 2 / 3 - far * far + far**3 / 2
    weights = np.where(far < 1, near, np.maximum(2 - far, 0) ** 3 / 6) / np.float32(0.69)
    return weights @ grid @ weights.T


def pixels(pose: Values, side: int) -> tuple[Field, Field]:
    """The body coordinates under every pixel, for a patient who stands a little askew."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * (2 / side) - 1
    x = (axis[None, None, :] - pose['right']) / pose['zoom']
    y = (axis[None, :, None] - pose['down']) / pose['zoom']
    cos, sin = np.cos(pose['angle']), np.sin(pose['angle'])
    return cos * x + sin * y, cos * y - sin * x


def inside(distance: Field, softness: float) -> Field:
    """1 where the distance from the edge inwards is positive, 0 outside, smooth between."""
    t = np.clip(0.5 + distance / softness, 0, 1)
    return t * t * (3 - 2 * t)


def bump(distance: Field, width: float | Field) -> Field:
    """A ridge of height 1 along distance zero."""
    return np.exp(-np.square(distance / width))


def body(x: Field, y: Field, v: Values) -> Field:
    """Soft tissue: neck, sloping shoulders, trunk; thicker in the middle."""
    width = v['neck'] + (v['torso'] - v['neck']) * inside(y - v['shoulder'], 0.40)
    return inside(width - np.abs(x), 0.08) * (0.54 - 0.22 * x * x)


def chest(x: Field, y: Field, v: Values) -> tuple[Field, Field, Field]:
    """Lungs, rib cage, and what lies below the domes of the diaphragm; the right one is higher."""
    u = np.abs(x)
    base = v['base'] + v['breath'] + 0.04 * np.clip(6 * x, -1, 1)
    rise = np.clip((y - v['apex']) / (base - v['apex']), 0, 1)
    round_top = np.sqrt(1 - (1 - rise) ** 3)
    outer = v['lung_x'] + v['lung_width'] * (0.50 + 0.55 * rise) * round_top
    inner = v['lung_x'] - v['lung_width'] * (0.92 + 0.05 * rise) * round_top
    arc = np.maximum((u - v['lung_x'] + 0.06) / 0.40, -0.55)
    dome = base - v['dome'] * (1 - arc * arc)
    below = inside(y - dome, 0.06)
    lung = inside(outer - u, 0.07) * inside(u - inner, 0.10) * (1 - below)
    top = inside(y - v['apex'], 0.08)
    return lung * top, inside(outer + 0.07 - u, 0.06) * top, below


def heart(x: Field, y: Field, v: Values) -> Field:
    """An ellipse on the diaphragm that points to the patient's left, and the arch of the aorta."""
    cos, sin = np.cos(v['heart_tilt']), np.sin(v['heart_tilt'])
    dx, dy = x - v['heart_x'], y - v['heart_y'] - v['breath']
    long = (cos * dx + sin * dy) / v['heart_width']
    short = (cos * dy - sin * dx) / (0.74 * v['heart_width'])
    arch = bump(x - 0.12, 0.10) * bump(y + 0.22, 0.12)
    return np.maximum(inside(1 - np.sqrt(long * long + short * short), 0.22), 0.7 * arch)


def ribs(x: Field, y: Field, v: Values) -> Field:
    """Stripes of a bent coordinate: the back ribs, with a bright rim, and fainter front ones."""
    u = np.abs(x)
    back = (y + 0.30 * u - v['rib_drop'] * u * u) / v['rib_gap'] + v['rib_phase']
    front = (y - 0.95 * u + 0.60 * u * u) / (1.2 * v['rib_gap']) + v['rib_phase']
    wave = np.sin(np.pi * back)
    stripe = bump(wave, 0.55) * (0.7 + 0.5 * u) - 0.30 * bump(wave, 0.22)
    return stripe + 0.35 * bump(np.sin(np.pi * front), 0.5) * inside(u - 0.35, 0.2)


def other_bones(x: Field, y: Field, v: Values) -> Field:
    """Clavicles, shoulder joints and the vertebrae."""
    u = np.abs(x)
    line = v['clavicle_y'] - 0.30 * (u - 0.1) + 0.04 * np.sin(7 * u)
    clavicle = bump(y - line, 0.04) * inside(u - 0.08, 0.06) * inside(0.70 - u, 0.1)
    shoulder = bump(u - 0.88, 0.12) * bump(y + 0.72, 0.14)
    discs = 0.65 + 0.35 * np.sin(2 * np.pi * y / v['vertebra'])
    return v['clavicle'] * clavicle + 0.15 * shoulder + v['spine'] * discs * bump(x, 0.10)


def radiograph(values: Values, opacity: Field, texture: Field) -> Field:
    """Film density in about [0, 1], bone bright and air dark, of the thorax with these values.

    `opacity` is how much of the air is filled, `texture` the noise that vessels are made of; both
    lie in image coordinates.
    """
    v = values
    x, y = pixels(v, opacity.shape[-1])
    lung, cage, below = chest(x, y, v)
    core, film = heart(x, y, v), body(x, y, v)
    film += 0.14 * bump(x, v['mediastinum']) * inside(y + 0.9, 0.3)
    film += 0.12 * np.maximum(core, below) * inside(film - 0.1, 0.2)
    hilum = v['hilum'] * bump(np.abs(x) - 0.24, 0.14) * bump(y - 0.02, 0.24)
    air = v['air'] - (v['markings'] + hilum) * (1 + texture)
    film -= lung * (1 - 0.9 * core) * air * (1 - np.clip(opacity, 0, 0.95))
    seen = (0.35 + 0.65 * lung) * (1 - 0.6 * core) * inside(0.80 - y, 0.45)
    film += v['rib'] * ribs(x, y, v) * cage * seen
    film += other_bones(x, y, v)
    film -= 0.09 * bump(x + 0.01, 0.05) * inside(-0.20 - y, 0.2)  # the trachea
    stomach = bump(x - 0.40, 0.16) * bump(y - v['base'] - v['breath'] - 0.08, 0.09)
    return film - np.maximum(v['bubble'], 0) * stomach
