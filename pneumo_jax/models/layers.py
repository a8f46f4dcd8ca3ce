"""Layers that several models share."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype, Initializer
from jax import Array
from jaxtyping import Float

from pneumo_jax import forms
from pneumo_jax.errors import UserError
from pneumo_jax.models import norms, ops, pooling, products

# What torch gives a convolution or linear layer that nobody initialises otherwise.
torch_default = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
kaiming_fan_out = nn.initializers.variance_scaling(2, 'fan_out', 'normal')  # He et al. 2015
truncated = nn.initializers.truncated_normal(0.02)

Layer = Callable[..., nn.Module]


class Conv(nn.Module):
    """A square convolution with torch's integer padding: `padding` zeros on every side."""

    features: int
    size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    use_bias: bool = False
    dtype: Dtype = jnp.float32
    kernel_init: Initializer = torch_default

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 k']:
        shape = (self.size, self.size, x.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', self.kernel_init, shape).astype(self.dtype)
        x = ops.conv(
            x.astype(self.dtype),
            kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
        )
        if self.use_bias:
            x += self.param('bias', nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return x


# A linear layer whose weight gradient is fast on a CPU.
Dense = partial(nn.Dense, dot_general=products.dot)


class SqueezeExcite(nn.Module):
    """Channel gates from the map's mean, by way of a 16th (Hu et al. 2018, arXiv:1709.01507)."""

    dtype: Dtype

    @nn.compact
    def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h w c']:
        dense = partial(Dense, dtype=self.dtype, kernel_init=kaiming_fan_out)
        channels = x.shape[-1]
        gate = dense(max(1, channels // 16), name='fc1')(pooling.global_avg_pool(x))
        gate = nn.sigmoid(dense(channels, name='fc2')(nn.relu(gate)))
        return x * gate[:, None, None]


class BatchNorm(nn.Module):
    """Batch normalisation with torch's constants; its decay .9 is torch's momentum .1.

    Ioffe & Szegedy 2015 (arXiv:1502.03167). Statistics are float32 and, where `axis_name` names a
    mapped axis (pmap, shard_map, vmap), shared over it. Who has the `moments` of x already hands
    them over.
    """

    train: bool
    dtype: Dtype
    axis_name: str | None
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, '*b c'], moments: norms.Moments | None = None
    ) -> Float[Array, '*b c']:
        shape = (x.shape[-1],)
        scale = self.param('scale', nn.initializers.ones, shape)
        bias = self.param('bias', nn.initializers.zeros, shape)
        old_mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
        old_var = self.variable('batch_stats', 'var', jnp.ones, shape)
        if not self.train:
            running = old_mean.value, old_var.value
            return norms.affine(x, running, scale, bias, self.epsilon).astype(self.dtype)
        moments = moments or norms.moments(x, self.axis_name)
        if not self.is_initializing():
            for old, new in zip((old_mean, old_var), moments, strict=True):
                old.value = self.momentum * old.value + (1 - self.momentum) * new
        y = norms.normalise(x, moments, scale, bias, self.epsilon, self.axis_name)
        return y.astype(self.dtype)


def running_statistics() -> Any:
    """Within it BatchNorm uses its running statistics in training too, and leaves them alone.

    So are few or unlike images fine-tuned with the statistics of the many that came before; scale
    and bias are still trained.
    """

    def as_in_evaluation(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if isinstance(module, BatchNorm) and context.method_name == '__call__' and module.train:
            return module.clone(train=False, parent=None).apply(module.variables, *args)
        return call(*args, **kwargs)

    return nn.intercept_methods(as_in_evaluation)


def batch_norm(*, train: bool, dtype: Dtype, axis_name: str | None) -> Layer:
    """A `BatchNorm` for this pass."""
    return partial(BatchNorm, train, dtype, axis_name)


def layer_norm(dtype: Dtype) -> Layer:
    """LayerNorm with the epsilon of ViT and ConvNeXt, which is not torch's default."""
    kind = nn.remat(nn.LayerNorm) if forms.for_gpu() else nn.LayerNorm  # see forms.unkept
    return partial(kind, epsilon=1e-6, dtype=dtype)


def gelu(x: Float[Array, '*b c']) -> Float[Array, '*b c']:
    """The exact one, by the error function (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    return forms.unkept(partial(nn.gelu, approximate=False))(x)


class DropPath(nn.Module):
    """In training, zero for a share `rate` of the examples and 1 / (1 - rate) times the others.

    On the branch of every residual sum it is stochastic depth (Huang et al. 2016,
    arXiv:1603.09382). Its keys are those of dropout; with a rate of 0 it is no operation at all.
    """

    rate: float
    train: bool

    @nn.compact
    def __call__(self, x: Float[Array, 'b ...']) -> Float[Array, 'b ...']:
        shared = tuple(range(1, x.ndim))
        return nn.Dropout(self.rate, shared, deterministic=not self.train)(x)


def drop_rates(last: float, depth: int) -> list[float]:
    """The `DropPath` rates of `depth` blocks: from 0 at the first, evenly growing to `last`."""
    return np.linspace(0, last, depth).tolist()


def check_odd(kernel: int) -> None:
    """Only odd kernels keep a map's size."""
    if kernel % 2 == 0:
        near = f'{max(1, kernel - 1)} or {max(3, kernel + 1)}'
        raise UserError(f'kernel={kernel} must be odd; use {near}.')
