"""What is true of every model: its size, what goes in and what comes out."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jaxtyping import Array

from pneumo_jax import forms, models
from pneumo_jax.errors import UserError

Fields = dict[str, Any]

# (model, its fields, channels, classes) at 224 px, and the parameters of the public model.
# cnn_bn_dropout: 51,400,002 with the 96 convolution biases that BatchNorm makes useless.
COUNTS = [
    ('mlp', {}, 1, 2, 6_422_914),
    ('cnn', {}, 1, 2, 12_850_242),
    ('cnn_bn_dropout', {}, 1, 2, 51_400_002 - 96),
    # By hand: stem 9 * 32, blocks 57,344 + 229,376 + 917,504, BatchNorm 2,752, head 257 * 2.
    ('resnet8', {}, 1, 2, 1_207_778),
    ('resnet18', {}, 3, 1000, 11_689_512),
    ('resnet18', {}, 1, 2, 11_171_266),
    ('resnet50', {}, 3, 1000, 25_557_032),
    ('resnet50', {}, 1, 2, 23_505_858),
    ('se_resnet18', {}, 3, 1000, 11_778_592),
    ('se_resnet50', {}, 3, 1000, 28_088_024),
    ('densenet121', {}, 3, 1000, 7_978_856),
    ('convnext_tiny', {}, 3, 1000, 28_589_128),
    ('vit', {'variant': 'Ti'}, 3, 1000, 5_717_416),
    ('vit', {'variant': 'S'}, 3, 1000, 22_050_664),
    ('vit', {'variant': 'B'}, 3, 1000, 86_567_656),
]

# Each model with every kind of layer it has, and little else.
SMALL: dict[str, Fields] = {
    'mlp': {'hidden': 8},
    'cnn': {'features': (4, 8), 'kernel': 5, 'hidden': 8},
    'cnn_bn_dropout': {'features': (4, 8), 'hidden': 8},
    'resnet8': {'widths': (8, 8), 'stem': 4, 'kernel': 5, 'excite': True, 'drop_path': 0.3},
    'resnet18': {'blocks': (1,), 'width': 8},
    'resnet50': {'blocks': (1,), 'width': 8},
    'se_resnet18': {'blocks': (1, 1), 'width': 8},
    'se_resnet50': {'blocks': (1, 1), 'width': 8},
    'densenet121': {'blocks': (1, 1), 'growth': 4},
    'convnext_tiny': {'blocks': (1, 1), 'dims': (8, 16)},
    'vit': {'width': 12, 'depth': 1, 'heads': 3, 'dropout': 0.2},
}
RESNETS = ['resnet8', 'resnet18', 'resnet50', 'se_resnet18', 'se_resnet50']
NORMED = ['cnn_bn_dropout', *RESNETS, 'densenet121']
DROPPING = ['cnn_bn_dropout', 'resnet8', 'vit']


def shapes(model: nn.Module, *shape: int) -> tuple[Any, Any]:
    """Logits and variables, without computing them."""
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    init = functools.partial(model.init_with_output, train=False)
    return jax.eval_shape(init, jax.random.key(0), image)


class Case(NamedTuple):
    """A small model compiled for its two uses, and something to put in."""

    name: str
    variables: Any
    images: Array
    predict: Callable[[Any, Array], Array]
    learn: Callable[[Any, Array, int], tuple[Array, Any]]


@pytest.fixture(scope='module', params=SMALL)
def case(request: pytest.FixtureRequest) -> Case:
    model = models.create(request.param, num_classes=3, **SMALL[request.param])
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.uniform(size=(4, 17, 23, 3)), jnp.float32)

    def drawn(path: Any, leaf: jax.ShapeDtypeStruct) -> Array:
        noise = rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))
        positive = path[-1].key in ('scale', 'var')
        return jnp.asarray(1 + 0.1 * noise if positive else noise, jnp.float32)

    # Compiling the initialisers would take longer than all the rest.
    variables = jax.tree_util.tree_map_with_path(drawn, shapes(model, *images.shape)[1])

    def learn(variables: Any, images: Array, seed: int) -> tuple[Array, Any]:
        rngs = {'dropout': jax.random.key(seed)}
        return model.apply(variables, images, train=True, rngs=rngs, mutable=['batch_stats'])

    predict = functools.partial(model.apply, train=False)
    return Case(request.param, variables, images, jax.jit(predict), jax.jit(learn))


def test_every_model_is_in_the_tables() -> None:
    assert {name for name, *_ in COUNTS} == set(SMALL) == set(models.MODELS)


@pytest.mark.parametrize(('name', 'fields', 'channels', 'classes', 'count'), COUNTS)
def test_parameter_count(
    name: str, fields: Fields, channels: int, classes: int, count: int
) -> None:
    model = models.create(name, num_classes=classes, **fields)
    logits, variables = shapes(model, 1, 224, 224, channels)
    assert logits.shape == (1, classes)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables['params'])) == count


@pytest.mark.parametrize('name', SMALL)
def test_any_image_gives_float32_logits(name: str) -> None:
    sizes = [(1, 1, 3), (17, 17, 1), (3, 45, 3), (28, 28, 1)]
    for dtype, size in zip(2 * list(models.DTYPES), sizes, strict=True):
        model = models.create(name, num_classes=5, dtype=dtype, **SMALL[name])
        logits, variables = shapes(model, 2, *size)
        assert (logits.shape, logits.dtype) == ((2, 5), jnp.float32)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}


def test_bfloat16_is_near_float32(case: Case) -> None:
    rough = models.create(case.name, num_classes=3, dtype='bfloat16', **SMALL[case.name])
    logits = jax.jit(functools.partial(rough.apply, train=False))(case.variables, case.images)
    exact = case.predict(case.variables, case.images)
    assert not np.array_equal(logits, exact)
    np.testing.assert_allclose(logits, exact, atol=0.03 * np.abs(exact).max())


def test_logits_depend_on_the_own_image_only(case: Case) -> None:
    before = case.predict(case.variables, case.images)
    after = case.predict(case.variables, case.images.at[1:].multiply(0.5))
    np.testing.assert_allclose(after[0], before[0], rtol=1e-5)
    assert (np.abs(after[1:] - before[1:]).max(axis=1) > 1e-4).all()


def test_training_moves_the_statistics_of_batch_norm(case: Case) -> None:
    assert ('batch_stats' in case.variables) == (case.name in NORMED)
    old = case.variables.get('batch_stats', {})
    new = case.learn(case.variables, case.images, 0)[1].get('batch_stats', {})
    for before, after in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True):
        assert after.dtype == jnp.float32
        assert not np.array_equal(before, after)


def test_dropout_acts_in_training_only(case: Case) -> None:
    one, other = (case.learn(case.variables, case.images, seed)[0] for seed in (0, 1))
    assert np.array_equal(one, other) == (case.name not in DROPPING)
    # Without a key for it, dropout would be refused here.
    assert np.isfinite(case.predict(case.variables, case.images)).all()


@pytest.mark.parametrize(
    ('name', 'fields', 'words'),
    [
        ('resnt18', {}, ["unknown model 'resnt18'", "'resnet18'"]),
        ('vit', {'variant': 'ti'}, ["unknown ViT variant 'ti'", 'Ti, S, B']),
        ('vit', {'width': 100}, ['width=100', 'heads=3', 'width=99']),
        ('mlp', {'hiden': 3}, ["'hiden'", "did you mean 'hidden'?"]),
        ('mlp', {'parent': None}, ["'parent'"]),
        ('mlp', {'dtype': 'float16'}, ["unknown dtype 'float16'", 'bfloat16']),
        ('cnn', {'kernel': 4}, ['kernel=4', '3 or 5']),
        ('cnn_bn_dropout', {'kernel': 2}, ['kernel=2', '1 or 3']),
        ('resnet8', {'kernel': 4}, ['kernel=4', '3 or 5']),
        ('convnext_tiny', {'blocks': (1, 1)}, ['blocks=(1, 1)', 'same length']),
    ],
)
def test_a_mistake_is_one_line(name: str, fields: Fields, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        models.create(name, num_classes=2, **fields)
    message = str(error.value)
    assert '\n' not in message
    assert all(word in message for word in words), message


def test_lists_from_json_become_tuples() -> None:
    model = models.create('cnn', num_classes=2, features=[4, 8])
    assert hash(model) == hash(models.create('cnn', num_classes=2, features=(4, 8)))


@pytest.mark.parametrize('name', ['vit', 'convnext_tiny'])
def test_for_a_gpu_a_model_keeps_less_and_has_the_same_weights_and_gradients(name: str) -> None:
    model = models.create(name=name, dtype='float32', num_classes=2, **SMALL[name])
    image = jax.random.uniform(jax.random.key(1), (2, 32, 32, 1))
    rngs = {'dropout': jax.random.key(2)}

    def gradients(platform: str) -> tuple[Any, int]:
        with forms.tracing_for(platform):
            init = functools.partial(model.init, train=False)
            variables = jax.jit(init)(jax.random.key(0), image)

            def logits(params: Any) -> Any:
                given = {**variables, 'params': params}
                return model.apply(given, image, train=True, rngs=rngs, mutable=['batch_stats'])[0]

            _, pull = jax.jit(lambda params: jax.vjp(logits, params))(variables['params'])
        kept = sum(leaf.nbytes for leaf in jax.tree.leaves(pull))
        cotangent = jnp.array([[1.0, 2], [-3, 1]])
        return (variables, jax.jit(lambda pull, of: pull(of))(pull, cotangent)), kept

    (on_cpu, kept), (on_gpu, kept_there) = gradients('cpu'), gradients('gpu')
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), on_cpu, on_gpu
    )
    assert kept_there < 0.7 * kept
