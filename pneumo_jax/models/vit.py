"""Vision Transformer as in timm (Dosovitskiy et al. 2021, arXiv:2010.11929)."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype
from jax import Array
from jaxtyping import Float

from pneumo_jax import errors, forms
from pneumo_jax.models.layers import (
    Conv,
    Dense,
    DropPath,
    Layer,
    drop_rates,
    gelu,
    layer_norm,
    truncated,
)

Heads = Float[Array, 'b h t d']

# width, depth, heads
VARIANTS = {'Ti': (192, 12, 3), 'S': (384, 12, 6), 'B': (768, 12, 12)}


def softmax(logits: Float[Array, 'b h t t']) -> Float[Array, 'b h t t']:
    """In float32."""
    return nn.softmax(logits.astype(jnp.float32))


class Softmax(nn.Module):
    """Attention weights as a module's output, where `nn.intercept_methods` can see them."""

    @nn.compact
    def __call__(self, logits: Float[Array, 'b h t t']) -> Float[Array, 'b h t t']:
        return forms.unkept(softmax)(logits)


def attend(query: Heads, key: Heads, value: Heads, softmax: Callable[[Array], Array]) -> Heads:
    """Scaled dot-product attention, the weights in float32.

    Batches of plain products: `jax.nn.dot_product_attention` takes 14.3 ms for value and gradient,
    this 11.7 (128 images of 50 tokens, 4 heads of 32; 2 cores).
    """
    scale = query.shape[-1] ** -0.5
    weights = softmax(query * scale @ key.swapaxes(-1, -2))
    return weights.astype(value.dtype) @ value


class Attention(nn.Module):
    """Every token looks at all tokens, in `heads` ways, whose values are projected together."""

    heads: int
    dense: Layer

    @nn.compact
    def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
        b, t, d = x.shape
        qkv = self.dense(3 * d, name='qkv')(x).reshape(b, t, 3, self.heads, d // self.heads)
        qkv = qkv.transpose(2, 0, 3, 1, 4)
        query, key, value = (qkv[i] for i in range(3))  # unpacked, jax2onnx cannot read it
        x = attend(query, key, value, Softmax(name='softmax')).swapaxes(1, 2)
        return self.dense(d, name='proj')(x.reshape(b, t, d))


class Block(nn.Module):
    """Attention and an MLP of ratio 4, each after a LayerNorm and added to its input."""

    heads: int
    dense: Layer
    norm: Layer
    drop: Layer
    drop_path: Layer
    layer_scale: bool

    @nn.compact
    def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
        y = Attention(self.heads, self.dense, name='attn')(self.norm(name='norm1')(x))
        x = x + self.drop_path()(self.scaled(self.drop()(y), 'ls1'))
        y = self.dense(4 * x.shape[-1], name='mlp_fc1')(self.norm(name='norm2')(x))
        y = self.drop()(gelu(y))
        y = self.drop()(self.dense(x.shape[-1], name='mlp_fc2')(y))
        return x + self.drop_path()(self.scaled(y, 'ls2'))

    def scaled(self, y: Float[Array, 'b t d'], name: str) -> Float[Array, 'b t d']:
        """A branch times a learned factor per channel, where the model has those."""
        if not self.layer_scale:
            return y
        return y * self.param(name, nn.initializers.constant(1e-5), y.shape[-1:]).astype(y.dtype)


class ViT(nn.Module):
    """`width`, `depth` and `heads` replace the variant's own where they are not zero.

    Images are zero-padded at the bottom and right to whole patches, as timm's dynamic_img_pad
    does. The position embeddings belong to the grid of the image the model is initialised with.
    `dropout` acts on the embeddings and after attention and both layers of each MLP;
    `drop_path` is the `DropPath` rate of the last block's two sums. With `layer_scale` every
    branch is scaled per channel (Touvron et al. 2021, arXiv:2103.17239), as in DINOv2.
    """

    num_classes: int
    variant: str = 'Ti'
    patch: int = 16
    width: int = 0
    depth: int = 0
    heads: int = 0
    dropout: float = 0.0
    drop_path: float = 0.0
    layer_scale: bool = False
    dtype: Dtype = jnp.float32
    axis_name: str | None = None

    def __post_init__(self) -> None:
        width, _, heads = self.sizes()
        if width % heads:
            raise errors.UserError(
                f'width={width} does not divide over heads={heads}; '
                f'the nearest that does is width={max(1, round(width / heads)) * heads}.'
            )
        super().__post_init__()

    def sizes(self) -> tuple[int, int, int]:
        """Width, depth and heads. Raises UserError for an unknown variant."""
        if self.variant not in VARIANTS:
            raise errors.unknown('ViT variant', self.variant, VARIANTS)
        width, depth, heads = VARIANTS[self.variant]
        return self.width or width, self.depth or depth, self.heads or heads

    @nn.compact
    def __call__(self, image: Float[Array, 'b h w c'], *, train: bool) -> Float[Array, 'b k']:
        x = self.encode(self.embed(image, self.sizes()[0]), train)[:, 0]
        head = Dense(self.num_classes, dtype=self.dtype, kernel_init=truncated, name='head')
        return head(x).astype(jnp.float32)

    def encode(self, x: Float[Array, 'b t d'], train: bool) -> Float[Array, 'b t d']:
        """All blocks and the norm behind them, on any number of tokens."""
        _, depth, heads = self.sizes()
        dense = partial(Dense, dtype=self.dtype, kernel_init=truncated)
        norm = layer_norm(self.dtype)
        drop = partial(nn.Dropout, self.dropout, deterministic=not train)
        x = drop()(x)
        for i, rate in enumerate(drop_rates(self.drop_path, depth)):
            drop_path = partial(DropPath, rate, train)
            block = Block(heads, dense, norm, drop, drop_path, self.layer_scale, name=f'blocks_{i}')
            x = block(x)
        return norm(name='norm')(x)

    def embed(self, image: Float[Array, 'b h w c'], width: int) -> Float[Array, 'b t d']:
        """Patches to tokens behind a class token, with learned positions added."""
        pads = [(0, -length % self.patch) for length in image.shape[1:3]]
        image = jnp.pad(image, ((0, 0), *pads, (0, 0)))
        conv = Conv(
            width, self.patch, self.patch, use_bias=True, dtype=self.dtype, name='patch_embed_proj'
        )
        x = conv(image).reshape(image.shape[0], -1, width)
        token = self.param('cls_token', nn.initializers.normal(1e-6), (1, 1, width))
        token = jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, width))
        x = jnp.concatenate([token, x], axis=1)
        return x + self.param('pos_embed', truncated, (1, *x.shape[1:])).astype(x.dtype)
