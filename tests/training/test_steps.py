"""One step, the same numbers however it is run."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util
from jax.sharding import PartitionSpec as P

from pneumo_jax import models, runtime
from pneumo_jax.augment import views
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.training import optim, steps

PREPROCESS = Preprocess(16, 16, 1)
NETS: dict[str, dict[str, Any]] = {
    'cnn': {'features': (4,), 'hidden': 8},
    'cnn_bn_dropout': {'features': (4, 4), 'hidden': 8, 'dropout': 0.0},
}
STEPS = 3


def make(name: str, axis_name: str | None = None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    model = models.create(name, num_classes=2, axis_name=axis_name, **NETS[name])
    tx = optim.create(
        name='sgd',
        lr=0.05,
        schedule='constant',
        warmup_steps=0,
        total_steps=STEPS,
        weight_decay=0.01,
        clip_norm=1.0,
    )
    init = steps.make_init(model, tx, PREPROCESS.image_shape, ema=True)
    step = steps.make_train_step(model, tx, PREPROCESS, ema=0.9, axis_name=axis_name)
    return init, step


def batches() -> list[steps.Batch]:
    rng = np.random.default_rng(0)
    return [
        {
            'image': rng.integers(0, 256, (8, 16, 16, 1)).astype(np.uint8),
            'label': rng.integers(0, 2, 8),
        }
        for _ in range(STEPS)
    ]


def train(init: Any, step: Any, place: Callable[[Any], Any] = lambda batch: batch) -> Any:
    """The states' variables and the metrics after every step from seed 0."""
    state, told = init(runtime.key(0, 'init')), []
    for batch in batches():
        state, metrics = step(state, place(batch), runtime.key(0, 'train'))
        told.append(metrics)
    return jax.device_get((state, told))


def assert_same(found: Any, wanted: Any, tolerance: float = 1e-6) -> None:
    for (path, one), other in zip(
        jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True
    ):
        np.testing.assert_allclose(
            one, other, atol=tolerance, rtol=tolerance, err_msg=jax.tree_util.keystr(path)
        )


@pytest.fixture(scope='module', params=NETS)
def case(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """A net, and what training it on one device gives."""
    init, step = make(request.param)
    return request.param, train(jax.jit(init), jax.jit(step))


def test_four_devices_are_there() -> None:
    assert jax.device_count() == 4


def test_jit_over_a_mesh(case: tuple[str, Any]) -> None:
    init, step = make(case[0])
    mesh = runtime.mesh()
    everywhere = runtime.replicated(mesh)
    found = train(
        jax.jit(init, out_shardings=everywhere),
        jax.jit(step, out_shardings=everywhere, donate_argnums=0),
        partial(runtime.shard, mesh=mesh),
    )
    assert_same(found, case[1])


def test_shard_map(case: tuple[str, Any]) -> None:
    init, _ = make(case[0])
    _, step = make(case[0], axis_name='data')
    mesh = runtime.mesh()
    mapped = jax.shard_map(step, mesh=mesh, in_specs=(P(), P('data'), P()), out_specs=(P(), P()))
    assert_same(train(jax.jit(init), jax.jit(mapped)), case[1])


def test_pmap(case: tuple[str, Any]) -> None:
    init, _ = make(case[0])
    _, step = make(case[0], axis_name='data')
    mapped = jax.pmap(step, axis_name='data', in_axes=(None, 0, None), out_axes=None)

    def split(batch: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.reshape(4, -1, *leaf.shape[1:]), batch)

    assert_same(train(jax.jit(init), mapped, split), case[1])


def test_vmap_over_seeds(case: tuple[str, Any]) -> None:
    init, step = make(case[0])

    def run(seed: int) -> tuple[Any, Any]:
        return runtime.key(seed, 'init'), runtime.key(seed, 'train')

    init_keys, train_keys = (jnp.stack(keys) for keys in zip(*map(run, range(3)), strict=True))
    many = jax.jit(jax.vmap(init))(init_keys)
    step_many = jax.jit(jax.vmap(step, in_axes=(0, None, 0)))
    for batch in batches():
        many, _ = step_many(many, batch, train_keys)
    assert_same(jax.tree.map(lambda leaf: leaf[0], many), case[1][0])


def test_scan(case: tuple[str, Any]) -> None:
    init, step = make(case[0])
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches())
    key = runtime.key(0, 'train')
    state, metrics = jax.jit(
        lambda state: jax.lax.scan(lambda state, batch: step(state, batch, key), state, stacked)
    )(jax.jit(init)(runtime.key(0, 'init')))
    told = [jax.tree.map(lambda leaf, i=i: leaf[i], metrics) for i in range(STEPS)]
    assert_same((state, told), case[1])


@pytest.mark.parametrize('loop', [False, True])
def test_steps_on_data_that_the_devices_hold(case: tuple[str, Any], loop: bool) -> None:
    """The same from indices; each of the four devices reads its part of a batch, and no more."""
    init, step = make(case[0])
    mesh = runtime.mesh()
    everywhere = runtime.replicated(mesh)
    data = runtime.replicate(jax.tree.map(lambda *rows: np.concatenate(rows), *batches()), mesh)
    many = jax.jit(
        steps.make_train_steps(step, loop=loop), out_shardings=everywhere, donate_argnums=0
    )
    state = jax.jit(init, out_shardings=everywhere)(runtime.key(0, 'init'))
    rows = np.arange(8 * STEPS, dtype=np.int32).reshape(STEPS, 8)
    # In a loop two steps of at most three, then the third; else each takes its own of two.
    looped, one_by_one = [(rows, 2), (rows[[2, 0, 0]], 1)], [rows[:2], rows[:2], rows[[2, 0]]]
    calls = looped if loop else [(table, 1) for table in one_by_one]
    told = []
    for indices, n in calls:
        arguments = (data, runtime.shard(indices, mesh, axis=1), np.int32(n))
        text = many.lower(state, *arguments, runtime.key(0, 'train')).compile().as_text()
        state, metrics = many(state, *arguments, runtime.key(0, 'train'))
        told += [jax.tree.map(lambda row, i=i: row[i], metrics) for i in range(n)]
        assert all(not row[n:].any() for row in metrics.values())
    assert_same(jax.device_get((state, told)), case[1])
    assert many._cache_size() == 1
    assert 'u8[2,1,16,16,1]' in text or 'u8[2,16,16,1]' in text
    assert 'all-gather' not in text


def test_gradient_is_that_of_the_whole_batch_not_a_multiple() -> None:
    """Plain gradient descent, written out, against the step under shard_map."""
    model = models.create('cnn', num_classes=2, **NETS['cnn'])
    tx = optax.sgd(0.1)
    state = jax.jit(steps.make_init(model, tx, PREPROCESS.image_shape))(runtime.key(0, 'init'))
    batch = batches()[0]

    def loss(params: Any) -> Any:
        logits = model.apply({'params': params}, PREPROCESS(batch['image']), train=True)
        picked = jax.nn.log_softmax(logits)[jnp.arange(8), batch['label']]
        return -picked.mean()

    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, jax.grad(loss)(state.params))
    step = jax.shard_map(
        steps.make_train_step(model, tx, PREPROCESS, axis_name='data'),
        mesh=runtime.mesh(),
        in_specs=(P(), P('data'), P()),
        out_specs=(P(), P()),
    )
    found, _ = jax.jit(step)(state, batch, runtime.key(0, 'train'))
    assert_same(found.params, wanted)


def test_dropout_differs_between_steps_and_repeats_with_the_key() -> None:
    model = models.create('cnn_bn_dropout', num_classes=2, features=(4,), hidden=16)
    tx = optax.sgd(0.0)
    init = steps.make_init(model, tx, PREPROCESS.image_shape)
    step = jax.jit(steps.make_train_step(model, tx, PREPROCESS))
    batch, key = batches()[0], runtime.key(0, 'train')
    first = jax.jit(init)(runtime.key(0, 'init'))
    second, metrics = step(first, batch, key)
    _, later = step(second, batch, key)
    _, again = step(first, batch, key)
    assert metrics['loss'] != later['loss']
    assert metrics['loss'] == again['loss']


def test_ema_is_the_average_that_its_definition_gives() -> None:
    init, step = make('cnn_bn_dropout')
    step = jax.jit(step)
    state = jax.jit(init)(runtime.key(0, 'init'))
    ema = state.variables
    for number, batch in enumerate(batches()):
        state, _ = step(state, batch, runtime.key(0, 'train'))
        decay = min(0.9, (1 + number) / (10 + number))
        ema = jax.tree.map(lambda old, new, d=decay: d * old + (1 - d) * new, ema, state.variables)
    assert_same(state.scored, ema)


def test_batch_norm_goes_by_the_batch_unless_it_is_fixed() -> None:
    model = models.create('cnn_bn_dropout', num_classes=2, **NETS['cnn_bn_dropout'])
    tx = optax.sgd(0.05)
    before = jax.jit(steps.make_init(model, tx, PREPROCESS.image_shape))(runtime.key(0, 'init'))
    # Running statistics of 0 and 1 are far from this batch's, and so are the losses.
    images = PREPROCESS.normalise(PREPROCESS.unit(batches()[0]['image']))
    variables = {'params': before.params, 'batch_stats': before.batch_stats}
    logits = model.apply(variables, images, train=False)
    as_scored = optax.softmax_cross_entropy_with_integer_labels(logits, batches()[0]['label'])
    for given, moves in (({}, True), ({'fixed_norms': True}, False)):
        step = jax.jit(steps.make_train_step(model, tx, PREPROCESS, **given))
        after, metrics = step(before, batches()[0], runtime.key(0, 'train'))
        pairs = zip(*(jax.tree.leaves(s.batch_stats) for s in (before, after)), strict=True)
        assert all((np.asarray(old) != new).any() == moves for old, new in pairs)
        assert (abs(metrics['loss'] - as_scored.mean()) > 1e-3) == moves


def test_predict_changes_nothing_and_needs_no_key() -> None:
    init, _ = make('cnn_bn_dropout')
    model = models.create('cnn_bn_dropout', num_classes=2, **NETS['cnn_bn_dropout'])
    predict = steps.make_predict(model, PREPROCESS)
    variables = jax.jit(init)(runtime.key(0, 'init')).variables
    images = batches()[0]['image']
    logits = predict(variables, images)
    assert logits.shape == (8, 2)
    np.testing.assert_allclose(predict(variables, images[:3]), logits[:3], atol=1e-5)


def learn(**recipe: Any) -> tuple[Any, Any, Any]:
    """(first state, second state, metrics) of one step of plain gradient descent."""
    model = models.create('mlp', num_classes=2, hidden=8)
    tx = optax.sgd(0.1)
    first = jax.jit(steps.make_init(model, tx, PREPROCESS.image_shape))(runtime.key(0, 'init'))
    step = jax.jit(steps.make_train_step(model, tx, PREPROCESS, **recipe))
    return first, *step(first, batches()[0], runtime.key(0, 'train'))


def test_images_are_augmented_between_0_and_1_and_then_mixed_with_their_targets() -> None:
    def augment(key: Any, images: Any) -> Any:
        return jnp.where((images >= 0).all() & (images <= 1).all(), 0.25, jnp.nan) * (images >= 0)

    def mix(key: Any, images: Any, targets: Any) -> Any:
        return images * 2, jnp.full_like(targets, 0.5)

    seen: list[Any] = []

    def loss(logits: Any, targets: Any) -> Any:
        seen.append(targets.shape)
        return optax.softmax_cross_entropy(logits, targets)

    first, _, metrics = learn(augment=augment, mix=mix, loss=loss)
    model = models.create('mlp', num_classes=2, hidden=8)
    logits = model.apply({'params': first.params}, jnp.zeros((8, 16, 16, 1)), train=True)
    wanted = -jax.nn.log_softmax(logits).mean()
    np.testing.assert_allclose(metrics['loss'], wanted, rtol=1e-5)
    assert seen == [(8, 2)]


def test_sam_takes_the_gradient_from_the_top_of_the_hill() -> None:
    """Foret et al. 2021, algorithm 1, written out."""
    radius, batch = 0.05, batches()[0]
    first, found, _ = learn(sam=radius)
    model = models.create('mlp', num_classes=2, hidden=8)

    def loss(params: Any) -> Any:
        logits = model.apply({'params': params}, PREPROCESS(batch['image']), train=True)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch['label']).mean()

    grads = jax.grad(loss)(first.params)
    scale = radius / optax.global_norm(grads)
    top = jax.tree.map(lambda p, g: p + scale * g, first.params, grads)
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, first.params, jax.grad(loss)(top))
    assert_same(found.params, wanted)
    apart = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), found.params, learn()[1].params)
    assert max(jax.tree.leaves(apart)) > 1e-6


def test_views_are_averaged_as_probabilities() -> None:
    model = models.create('mlp', num_classes=2, hidden=8)
    variables = model.init(runtime.key(0, 'init'), jnp.zeros((1, 16, 16, 1)), train=False)
    images = batches()[0]['image']
    single = steps.make_predict(model, PREPROCESS)
    averaged = steps.make_predict(model, PREPROCESS, views.create('flip'))
    wanted = (
        jax.nn.softmax(single(variables, images))
        + jax.nn.softmax(single(variables, images[:, :, ::-1]))
    ) / 2
    np.testing.assert_allclose(jax.nn.softmax(averaged(variables, images)), wanted, atol=1e-6)


def test_what_is_given_is_not_drawn_and_the_rest_is_as_ever() -> None:
    model = models.create('mlp', num_classes=2)
    draw = partial(steps.draw, model, PREPROCESS.image_shape, runtime.key(0, 'init'))
    drawn = traverse_util.flatten_dict(draw({}), sep='/')
    given = {'params/fc2/bias': np.array([1.0, 2.0], np.float32)}
    found = traverse_util.flatten_dict(draw(given), sep='/')
    assert found.keys() == drawn.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, given.get(name, drawn[name]), err_msg=name)
    program = jax.jit(draw).lower(drawn).as_text()
    assert 'threefry' in jax.jit(draw).lower({}).as_text()
    assert 'threefry' not in program, 'nothing is left to draw'
