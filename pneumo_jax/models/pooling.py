"""Pooling on NHWC maps, with torch's integer padding.

On a GPU the maximum is the library's own. On a CPU XLA's gradient of it (select-and-scatter) is
slow, and the gradient that jax derives from `max` compares the input with its maximum: where XLA
computes the two in different fusions they can differ in the last bit, and the gradient is lost.
So the forward pass keeps, as a byte, which tap of the window won. The numbers below are
milliseconds for value and gradient on 2 cores, library / derived from `max` / ours.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int8

Map = Float[Array, 'b h w c']
Taps = Int8[Array, 'b h2 w2 c']


def max_pool(x: Map, window: int, *, stride: int, padding: int = 0) -> Map:
    """Maximum over square windows, the map padded with -inf; a smaller map gives one output.

    Where values tie, the gradient goes to the first of them, as in torch.
    """
    x = _at_least(x, window - 2 * padding)
    # 2x2, 28 px, 32 channels: 84 / 13 / 5.4. 3x3 stride 2, 112 px, 64 channels: 234 / 89 / 40.
    cpu = functools.partial(_winner, window=window, stride=stride, padding=padding, shape=x.shape)
    library = functools.partial(_library, window=window, stride=stride, padding=padding)
    return lax.platform_dependent(x, cpu=cpu, default=library)


def avg_pool(x: Map, window: int) -> Map:
    """Mean over square windows side by side; a map smaller than the window gives its mean."""
    b, h, w, c = x.shape
    kh, kw = min(window, h), min(window, w)
    x = x[:, : h // kh * kh, : w // kw * kw]
    return x.reshape(b, h // kh, kh, w // kw, kw, c).mean((2, 4))


def global_avg_pool(x: Map) -> Float[Array, 'b c']:
    """Mean over the whole map."""
    return x.mean((1, 2))


def _at_least(x: Map, size: int) -> Map:
    grow = [(0, max(0, size - length)) for length in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *grow, (0, 0)), constant_values=-jnp.inf)


def _library(x: Map, window: int, stride: int, padding: int) -> Map:
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    shape, strides = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, shape, strides, pads)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _winner(x: Map, window: int, stride: int, padding: int, shape: tuple[int, ...]) -> Map:
    return _forward(x, window, stride, padding, shape)[0]


def _forward(
    x: Map, window: int, stride: int, padding: int, shape: tuple[int, ...]
) -> tuple[Map, Taps]:
    best, *others = _slices(x, window, stride, padding)
    taps = jnp.zeros(best.shape, jnp.int8)
    for tap, part in enumerate(others, 1):
        taps = jnp.where(part > best, jnp.int8(tap), taps)
        best = jnp.maximum(best, part)
    return best, taps


def _backward(
    window: int, stride: int, padding: int, shape: tuple[int, ...], taps: Taps, gradient: Map
) -> tuple[Map]:
    if window == stride and not padding:
        return (_unpool_tiles(window, shape, taps, gradient),)
    return (_unpool_slices(window, stride, padding, shape, taps, gradient),)


_winner.defvjp(_forward, _backward)


def _unpool_tiles(window: int, shape: tuple[int, ...], taps: Taps, gradient: Map) -> Map:
    """Every element of a tile asks whether it won: one pass, where adding up slices takes four."""
    b, h, w, c = shape
    (_, rows, columns, _) = gradient.shape
    own = jnp.arange(window**2, dtype=jnp.int8).reshape(1, 1, window, 1, window, 1)
    won = taps[:, :, None, :, None] == own
    tiles = jnp.where(won, gradient[:, :, None, :, None], 0)
    spread = tiles.reshape(b, rows * window, columns * window, c)
    return jnp.pad(spread, ((0, 0), (0, h - spread.shape[1]), (0, w - spread.shape[2]), (0, 0)))


def _unpool_slices(
    window: int, stride: int, padding: int, shape: tuple[int, ...], taps: Taps, gradient: Map
) -> Map:
    """Every tap's share, back where the tap saw it, summed."""
    # Not `jax.linear_transpose` of the slices, which knows no axis of a shard_map.
    (rows, columns), zero = taps.shape[1:3], jnp.zeros((), gradient.dtype)

    def place(length: int, seen: int, tap: int) -> tuple[int, int, int]:
        low = tap - padding
        return low, length - low - ((seen - 1) * stride + 1), stride - 1

    def share(tap: int) -> Map:
        i, j = divmod(tap, window)
        places = (place(shape[1], rows, i), place(shape[2], columns, j))
        return lax.pad(jnp.where(taps == tap, gradient, 0), zero, ((0,) * 3, *places, (0,) * 3))

    return functools.reduce(jnp.add, map(share, range(window**2)))


def _slices(x: Map, window: int, stride: int, padding: int) -> list[Map]:
    """What each tap of the window sees."""
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, pads, constant_values=-jnp.inf)
    rows, columns = ((length - window) // stride * stride + 1 for length in x.shape[1:3])
    return [
        x[:, i : i + rows : stride, j : j + columns : stride]
        for i in range(window)
        for j in range(window)
    ]
