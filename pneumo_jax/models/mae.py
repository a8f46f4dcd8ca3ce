"""The masked auto-encoder (He et al. 2022, arXiv:2111.06377): a ViT that learns from images alone.

It encodes a quarter of the patches, and a light decoder guesses the pixels of the others. The
encoder's parameters are a ViT's own, without the head; those of the decoder begin with `decoder`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Int, Key

from pneumo_jax import errors
from pneumo_jax.models.layers import Dense, DropPath, layer_norm, truncated
from pneumo_jax.models.vit import Block, ViT

DECODER = 'decoder'
HEAD = 32  # width of a head of the decoder's attention
EPSILON = 1e-6  # in the variance of a patch


class MAE(ViT):
    """Of every image the share `mask` of the patches is hidden, others with each call.

    The decoder has `decoder_depth` blocks of `decoder_width`, with heads of 32.
    """

    mask: float = 0.75
    decoder_width: int = 64
    decoder_depth: int = 2

    @nn.compact
    def __call__(  # type: ignore[override]
        self, image: Float[Array, 'b h w c'], *, train: bool
    ) -> tuple[Float[Array, 'b t p'], Float[Array, 'b t']]:
        """(a guess of every patch's normalised pixels, which patches were hidden).

        The rng stream is 'mask'.
        """
        tokens = self.embed(image, self.sizes()[0])
        order = shuffled(self.make_rng('mask'), len(image), tokens.shape[1] - 1)
        seen = seen_of(order.shape[1], self.mask)
        visible = _take(tokens[:, 1:], order[:, :seen])
        x = self.encode(jnp.concatenate([tokens[:, :1], visible], 1), train)
        guess = self.decode(x, order, image.shape[-1])
        return guess, (jnp.argsort(order, 1) >= seen).astype(jnp.float32)

    def decode(
        self, x: Float[Array, 'b s d'], order: Int[Array, 'b t'], channels: int
    ) -> Float[Array, 'b t p']:
        """Every patch's pixels from the encoded class token and the first patches of `order`."""
        width = self.decoder_width
        dense = partial(Dense, dtype=self.dtype, kernel_init=truncated)
        norm = layer_norm(self.dtype)
        x = dense(width, name=f'{DECODER}_embed')(x)
        blank = self.param(f'{DECODER}_mask_token', truncated, (1, 1, width)).astype(x.dtype)
        hidden = order.shape[1] + 1 - x.shape[1]
        patches = jnp.concatenate(
            [x[:, 1:], jnp.broadcast_to(blank, (len(x), hidden, width))], axis=1
        )
        x = jnp.concatenate([x[:, :1], _take(patches, jnp.argsort(order, 1))], axis=1)
        places = self.param(f'{DECODER}_pos_embed', truncated, (1, order.shape[1] + 1, width))
        x = x + places.astype(x.dtype)
        drop = partial(nn.Dropout, 0.0, deterministic=True)
        path = partial(DropPath, 0.0, False)
        for i in range(self.decoder_depth):
            name = f'{DECODER}_blocks_{i}'
            block = Block(width // HEAD, dense, norm, drop, path, False, name=name)
            x = block(x)
        x = norm(name=f'{DECODER}_norm')(x)[:, 1:]
        pixels = self.patch**2 * channels
        return dense(pixels, name=f'{DECODER}_pred')(x).astype(jnp.float32)


def seen_of(patches: int, mask: float) -> int:
    """How many of so many patches the encoder sees. Raises UserError where none is hidden."""
    seen = max(1, round(patches * (1 - mask)))
    if seen == patches:
        raise errors.UserError(
            f'config.mae.mask={mask} hides none of the {patches} patches of an image: give more, '
            'or a smaller config.model.patch.'
        )
    return seen


def shuffled(key: Key[Array, ''], images: int, patches: int) -> Int[Array, 'b t']:
    """For every image its patches in an order of its own."""
    return jnp.argsort(jax.random.uniform(key, (images, patches)), 1)


def patchified(image: Float[Array, 'b h w c'], size: int) -> Float[Array, 'b t p']:
    """The pixels of every patch, row by row, of images padded as `ViT` pads them."""
    pads = [(0, -length % size) for length in image.shape[1:3]]
    image = jnp.pad(image, ((0, 0), *pads, (0, 0)))
    b, h, w, c = image.shape
    x = image.reshape(b, h // size, size, w // size, size, c).swapaxes(2, 3)
    return x.reshape(b, -1, size * size * c)


def unpatchified(
    patches: Float[Array, 'b t p'], size: int, shape: tuple[int, int, int]
) -> Float[Array, 'b h w c']:
    """The images of `shape` (h, w, c) that `patchified` took apart."""
    h, w, c = shape
    rows, columns = -(-h // size), -(-w // size)
    x = patches.reshape(-1, rows, columns, size, size, c).swapaxes(2, 3)
    return x.reshape(len(patches), rows * size, columns * size, c)[:, :h, :w]


def normalised(
    patches: Float[Array, 'b t p'],
) -> tuple[Float[Array, 'b t p'], Float[Array, 'b t 1'], Float[Array, 'b t 1']]:
    """(patches with mean 0 and standard deviation 1 each, their means, their deviations)."""
    mean = patches.mean(-1, keepdims=True)
    deviation = jnp.sqrt(patches.var(-1, keepdims=True) + EPSILON)
    return (patches - mean) / deviation, mean, deviation


def _take(tokens: Float[Array, 'b t d'], chosen: Int[Array, 'b s']) -> Float[Array, 'b s d']:
    return jnp.take_along_axis(tokens, chosen[..., None], axis=1)
