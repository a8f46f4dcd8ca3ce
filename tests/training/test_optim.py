import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pneumo_jax import models, runtime
from pneumo_jax.training import optim

PLAIN: dict[str, Any] = {
    'name': 'adam',
    'lr': 0.1,
    'schedule': 'constant',
    'warmup_steps': 0,
    'total_steps': 10,
    'weight_decay': 0.0,
    'clip_norm': 0.0,
}
PARAMS = {'kernel': jnp.array([[1.0, -2.0]]), 'bias': jnp.array([3.0])}
GRADS = {'kernel': jnp.array([[30.0, 40.0]]), 'bias': jnp.array([0.0])}


def updates(**changes: Any) -> Any:
    tx = optim.create(**{**PLAIN, **changes})
    return tx.update(GRADS, tx.init(PARAMS), PARAMS)[0]


def test_plain_is_adam() -> None:
    adam = optax.adam(0.1)
    wanted, _ = adam.update(GRADS, adam.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates()['kernel'], wanted['kernel'])


def test_weight_decay_acts_on_kernels_alone() -> None:
    decayed, plain = updates(weight_decay=0.5), updates()
    np.testing.assert_allclose(
        decayed['kernel'] - plain['kernel'], -0.1 * 0.5 * PARAMS['kernel'], rtol=1e-6
    )
    np.testing.assert_array_equal(decayed['bias'], plain['bias'])


def test_clipping_bounds_the_global_norm() -> None:
    clipped = updates(name='sgd', clip_norm=1.0)
    # Nesterov's first step is (1 + .9) times the gradient.
    np.testing.assert_allclose(clipped['kernel'], [[-0.1 * 1.9 * 0.6, -0.1 * 1.9 * 0.8]], rtol=1e-6)


def test_warm_up_and_cosine() -> None:
    rate = optim.learning_rate(2.0, 'cosine', 4, 12)
    assert [float(rate(step)) for step in (0, 2, 4)] == [0.0, 1.0, 2.0]
    np.testing.assert_allclose([rate(8), rate(12)], [1.0, 0.0], atol=1e-6)
    constant = optim.learning_rate(2.0, 'constant', 4, 12)
    assert [float(constant(step)) for step in (2, 4, 11)] == [1.0, 2.0, 2.0]


def params_of(name: str, **fields: Any) -> Any:
    """The shapes of a model's parameters."""
    model = models.create(name, num_classes=2, **fields)
    init = functools.partial(model.init, train=False)
    return jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))['params']


@pytest.mark.parametrize('name', models.MODELS)
def test_the_decay_mask_knows_every_leaf_of_every_model(name: str) -> None:
    mask = optim.decay_mask(params_of(name))
    paths = dict(jax.tree_util.tree_leaves_with_path(mask))
    assert all(isinstance(decayed, bool) for decayed in paths.values())
    assert any(paths.values())
    assert not all(paths.values())


@pytest.mark.parametrize('limit', [0.1, 1e6])
def test_norm_and_clipping_are_optaxs(limit: float) -> None:
    grads = {'a': jnp.arange(6.0).reshape(2, 3), 'b': {'c': -jnp.ones(4)}}
    np.testing.assert_allclose(optim.global_norm(grads), optax.tree.norm(grads), rtol=1e-6)
    clipped, _ = optim.clip(limit).update(grads, optax.EmptyState())
    wanted, _ = optax.clip_by_global_norm(limit).update(grads, optax.EmptyState())
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), clipped, wanted
    )


def test_the_norm_is_over_large_and_small_leaves() -> None:
    drawn = np.random.default_rng(0).normal(size=3 * optim.SMALL)
    grads = {
        'large': drawn[: 2 * optim.SMALL].reshape(2, -1),
        'one': drawn[2 * optim.SMALL],
        'rest': drawn[2 * optim.SMALL + 1 :],
    }
    found = optim.global_norm(jax.tree.map(jnp.asarray, grads))
    np.testing.assert_allclose(found, np.linalg.norm(drawn), rtol=1e-5)


@pytest.mark.skipif(jax.default_backend() != 'cpu', reason='what XLA makes of it on a CPU')
def test_the_norm_writes_no_squares_down() -> None:
    """Nothing of the leaf's size beside Adam's two moments and the change."""
    grads = {'leaf': jnp.ones(2 * optim.SMALL)}
    adam = optax.scale_by_adam()

    def both(grads: Any, state: Any) -> Any:
        return optim.global_norm(grads), adam.update(grads, state)

    program = runtime.jit(both).lower(grads, adam.init(grads)).compile().as_text()
    entry = program[program.index('ENTRY') :]
    assert len(re.findall(rf'= f32\[{2 * optim.SMALL}\]\S* fusion', entry)) == 3


def test_clipping_leaves_no_gradient_alone() -> None:
    clipped, _ = optim.clip(1.0).update({'a': jnp.zeros(3)}, optax.EmptyState())
    np.testing.assert_array_equal(clipped['a'], 0)


def near(ours: Any, wanted: Any) -> None:
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6), ours, wanted)


@pytest.mark.parametrize('name', ['lamb', 'lion'])
def test_lamb_and_lion_are_optaxs(name: str) -> None:
    theirs = getattr(optax, name)(0.1, weight_decay=0.5, mask=optim.decay_mask)
    tx = optim.create(**{**PLAIN, 'name': name, 'weight_decay': 0.5})
    ours, wanted = (PARAMS, tx.init(PARAMS)), (PARAMS, theirs.init(PARAMS))
    for step in range(3):
        grads = jax.tree.map(lambda g, step=step: g * (1 - step), GRADS)
        ours, wanted = (
            (optax.apply_updates(params, changes), state)
            for params, (changes, state) in (
                (ours[0], tx.update(grads, ours[1], ours[0])),
                (wanted[0], theirs.update(grads, wanted[1], wanted[0])),
            )
        )
        near(ours[0], wanted[0])


def test_one_cycle() -> None:
    rate = optim.learning_rate(2.0, 'onecycle', 4, 12)
    np.testing.assert_allclose(
        [rate(step) for step in (0, 2, 4, 8, 12)], [0.08, 1.04, 2, 1.000004, 8e-6], rtol=1e-5
    )
    whole = [optim.learning_rate(2.0, 'onecycle', 0, 40)(step) for step in range(41)]
    theirs = optax.cosine_onecycle_schedule(40, 2.0, pct_start=0.25)
    np.testing.assert_allclose(whole, [theirs(step) for step in range(41)], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize('total', [1, 2, 3])
@pytest.mark.parametrize('warmup', [0, 1, 5])
def test_the_shortest_cycles_have_rates(warmup: int, total: int) -> None:
    rate = optim.learning_rate(2.0, 'onecycle', warmup, total)
    assert all(0 < rate(step) <= 2 for step in range(total))


# What each first part of a path is counted as.
NUMBERED: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    'mlp': ({}, {'fc1': 0, 'fc2': 1}),
    'cnn': ({}, {'conv1': 0, 'conv2': 1, 'fc1': 2, 'fc2': 3}),
    'cnn_bn_dropout': (
        {},
        {'conv1': 0, 'bn1': 0, 'conv2': 1, 'bn2': 1, 'fc1': 2, 'fc2': 3},
    ),
    'resnet8': (
        {'blocks': 2},
        {
            **{'conv1': 0, 'bn1': 0, 'layer1_0': 1, 'layer1_1': 1, 'layer2_0': 2, 'layer2_1': 2},
            **{'layer3_0': 3, 'layer3_1': 3, 'fc': 4},
        },
    ),
    'se_resnet50': (
        {'blocks': (1, 2, 1, 1)},
        {
            **{'conv1': 0, 'bn1': 0, 'layer1_0': 1, 'layer2_0': 2, 'layer2_1': 2, 'layer3_0': 3},
            **{'layer4_0': 4, 'fc': 5},
        },
    ),
    'densenet121': (
        {'blocks': (2, 1)},
        {
            **{'features_conv0': 0, 'features_norm0': 0, 'features_denseblock1_denselayer1': 1},
            **{'features_denseblock1_denselayer2': 1, 'features_transition1': 1},
            **{'features_denseblock2_denselayer1': 2, 'features_norm5': 3, 'classifier': 3},
        },
    ),
    'convnext_tiny': (
        {'blocks': (2, 1), 'dims': (8, 8)},
        {
            **{'stem_0': 0, 'stem_1': 0, 'stages_0_blocks_0': 1, 'stages_0_blocks_1': 1},
            **{'stages_1_downsample_0': 2, 'stages_1_downsample_1': 2, 'stages_1_blocks_0': 2},
            **{'head_norm': 3, 'head_fc': 3},
        },
    ),
    'vit': (
        {'depth': 11},
        {
            **{'patch_embed_proj': 0, 'cls_token': 0, 'pos_embed': 0, 'norm': 12, 'head': 12},
            **{f'blocks_{i}': i + 1 for i in range(11)},
        },
    ),
}


@pytest.mark.parametrize('name', NUMBERED)
def test_layers_are_counted_from_the_stem(name: str) -> None:
    fields, wanted = NUMBERED[name]
    numbers = optim.layers(params_of(name, **fields))
    assert {top: set(jax.tree.leaves(leaves)) for top, leaves in numbers.items()} == {
        top: {number} for top, number in wanted.items()
    }


@pytest.mark.parametrize('name', models.MODELS)
def test_every_leaf_of_every_model_has_a_layer(name: str) -> None:
    params = params_of(name)
    numbers = optim.layers(params)
    assert jax.tree.structure(numbers) == jax.tree.structure(params)
    found = set(jax.tree.leaves(numbers))
    assert found == set(range(len(found)))
    assert len(found) > 1


def test_an_unknown_layer_is_an_error() -> None:
    with pytest.raises(KeyError, match='adapter'):
        optim.layers({'conv1': 0, 'adapter': 0})


def test_layer_decay_slows_what_is_far_from_the_head() -> None:
    params = {
        name: {'kernel': jnp.ones((2, 2))} for name in ('conv1', 'layer1_0', 'layer2_0', 'fc')
    }
    for name in ('adam', 'lamb'):  # LAMB's own scaling must not undo it
        plain, slowed = (
            tx.update(params, tx.init(params), params)[0]
            for tx in (
                optim.create(**{**PLAIN, 'name': name, 'weight_decay': 0.5}),
                optim.create(**{**PLAIN, 'name': name, 'weight_decay': 0.5}, layer_decay=0.5),
            )
        )
        for layer, factor in (
            ('conv1', 1 / 8),
            ('layer1_0', 1 / 4),
            ('layer2_0', 1 / 2),
            ('fc', 1),
        ):
            near(slowed[layer]['kernel'], factor * plain[layer]['kernel'])


def test_the_ascent_goes_rho_up_the_gradient() -> None:
    moved = optim.ascent(PARAMS, GRADS, 0.5)
    np.testing.assert_allclose(moved['kernel'], [[1 + 0.5 * 0.6, -2 + 0.5 * 0.8]], rtol=1e-6)
    np.testing.assert_array_equal(moved['bias'], PARAMS['bias'])
    near(optim.ascent(PARAMS, jax.tree.map(jnp.zeros_like, GRADS), 0.5), PARAMS)


def test_the_head_is_trained_first() -> None:
    tx = optim.create(**{**PLAIN, 'weight_decay': 0.5}, freeze_steps=2)
    params = {name: {'kernel': jnp.ones((2, 2))} for name in ('conv1', 'layer1_0', 'fc')}
    state, moved = tx.init(params), []
    for _ in range(3):
        updates, state = tx.update(params, state, params)
        moved.append({name: bool((leaf['kernel'] != 0).all()) for name, leaf in updates.items()})
    assert moved[0] == moved[1] == {'conv1': False, 'layer1_0': False, 'fc': True}
    assert all(moved[2].values())
    plain = optim.create(**{**PLAIN, 'weight_decay': 0.5})
    near(updates['conv1'], updates['fc'])  # Adam has followed what stood still
    assert len(jax.tree.leaves(plain.init(params))) == len(jax.tree.leaves(state)) - 1
