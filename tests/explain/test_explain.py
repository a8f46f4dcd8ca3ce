"""Maps of small models that were taught where to look."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from pneumo_jax import errors, explain, models, trained
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.explain import attention, faithfulness, gradcam, integrated, occlusion, programs
from pneumo_jax.training import steps

SIZE, COUNT = 16, 48
PREPROCESS = Preprocess(SIZE, SIZE, 1)
MODELS: dict[str, dict[str, Any]] = {
    'cnn_bn_dropout': {'features': (8, 16), 'hidden': 16, 'dropout': 0.1},
    'vit': {'patch': 4, 'width': 32, 'depth': 2, 'heads': 2},
}
RATES = {'cnn_bn_dropout': 3e-3, 'vit': 1e-3}
PAIRS = [(name, method) for name in MODELS for method in explain.allowed(name)]
TARGETED = [(name, method) for name, method in PAIRS if method != 'rollout']


@functools.cache
def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gray noise, in which the ill have a bright square at some place: images, labels, places."""
    rng = np.random.default_rng(0)
    images = rng.normal(110, 12, (COUNT, SIZE, SIZE, 1)).clip(0, 255).astype(np.uint8)
    labels = (np.arange(COUNT) % 2).astype(np.int32)
    places = np.zeros((COUNT, SIZE, SIZE), bool)
    for i in np.flatnonzero(labels):
        y, x = 4 * rng.integers(0, SIZE // 4, 2)
        places[i, y : y + 4, x : x + 4] = True
    images[places] = 250
    return images, labels, places


@functools.cache
def member(name: str, seed: int = 0, updates: int = 60) -> trained.Member:
    model = models.create(name, num_classes=2, **MODELS[name])
    tx = optax.adam(RATES[name])
    state = jax.jit(steps.make_init(model, tx, PREPROCESS.image_shape))(jax.random.key(seed))
    step = jax.jit(steps.make_train_step(model, tx, PREPROCESS))
    images, labels, _ = planted()
    key = jax.random.key(seed + 100)
    for _ in range(updates):
        state, _ = step(state, {'image': images, 'label': labels}, key)
    return trained.Member(model, PREPROCESS, '', state.variables)


def ill() -> tuple[np.ndarray, np.ndarray]:
    images, labels, places = planted()
    return images[labels == 1][:8], places[labels == 1][:8]


@functools.cache
def maps(name: str, method: str, seed: int = 0, updates: int = 60) -> np.ndarray:
    return explain.heatmap(member(name, seed, updates), ill()[0], 1, method)


@pytest.mark.parametrize('name', MODELS)
def test_the_models_have_learned_it(name: str) -> None:
    images, labels, _ = planted()
    logits = member(name).predict(member(name).variables, images)
    assert (np.asarray(logits).argmax(1) == labels).mean() > 0.9


@pytest.mark.parametrize(('name', 'method'), TARGETED)
def test_maps_point_to_what_was_planted(name: str, method: str) -> None:
    heat, places = maps(name, method), ill()[1]
    assert heat.min() >= 0 and heat.max() == 1
    inside, outside = heat[places].mean(), heat[~places].mean()
    assert inside > 3 * outside


@pytest.mark.parametrize(('name', 'method'), PAIRS)
def test_maps_change_when_weights_are_randomised(name: str, method: str) -> None:
    """Adebayo et al. 2018, Sanity checks for saliency maps (arXiv:1810.03292)."""
    heat, other = maps(name, method), maps(name, method, seed=1, updates=0)
    rank = [
        stats.spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(heat, other, strict=True)
    ]
    assert abs(np.nan_to_num(rank).mean()) < 0.4


def test_rollout_knows_no_target_and_relevance_does() -> None:
    images = ill()[0]
    both = [explain.heatmap(member('vit'), images, k, 'rollout') for k in (0, 1)]
    np.testing.assert_array_equal(*both)
    assert (
        abs(explain.heatmap(member('vit'), images, 0, 'relevance') - maps('vit', 'relevance')).max()
        > 0.5
    )


def test_rollout_keeps_shares() -> None:
    weights = np.random.default_rng(0).random((2, 3, 5, 5))
    weights /= weights.sum(-1, keepdims=True)
    flow = attention._rollout(weights, weights, np.eye(5))
    np.testing.assert_allclose(flow.sum(-1), 1)
    np.testing.assert_allclose(flow[0], 0.5 * (weights[0].mean(0) + np.eye(5)))


def test_relevance_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    weights, slopes = rng.random((2, 1, 2, 3, 3)), rng.normal(size=(2, 1, 2, 3, 3))
    flow = np.eye(3)
    for block in range(2):
        flow = attention._relevance(weights[block], slopes[block], flow)
    first, second = np.maximum(weights * slopes, 0).mean(2)
    np.testing.assert_allclose(flow, np.eye(3) + first + second + second @ first, rtol=1e-5)


def test_a_tap_gives_the_gradient_of_an_attention_weight() -> None:
    one, images = member('vit'), PREPROCESS(ill()[0])

    def score(path: programs.Path, step: float, shape: tuple[int, ...]) -> float:
        tap = jnp.zeros(shape).at[0, 0, 0, 3].set(step)
        apply = programs.tapped(one.model, wanted, {path: tap})
        return float(programs.log_odds(apply(one.variables, images)[0], np.ones(8, int)).sum())

    def wanted(module: Any, output: Any) -> bool:
        return module.name == 'softmax'

    logits, seen = programs.tapped(one.model, wanted, {})(one.variables, images)
    np.testing.assert_array_equal(logits, one.model.apply(one.variables, images, train=False))
    assert [path[0] for path in seen] == ['blocks_0', 'blocks_1']
    assert seen['blocks_0', 'attn', 'softmax'].shape == (8, 2, 17, 17)
    for path, weights in seen.items():
        np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
        assert abs(score(path, 0.1, weights.shape) - score(path, -0.1, weights.shape)) > 1e-5


def test_integrated_gradients_are_complete() -> None:
    one, (images, _) = member('cnn_bn_dropout'), ill()
    target = np.ones(len(images), np.int32)
    shares = integrated.integrated_gradients(one, images, target).sum((1, 2))
    unit = PREPROCESS.unit(images)
    ends = [np.asarray(programs.scores(one, x, target)) for x in (0 * unit, unit)]
    np.testing.assert_allclose(shares, ends[1] - ends[0], atol=0.1 + 0.02 * abs(ends[1]).max())


def test_log_odds_do_not_change_with_what_all_logits_have() -> None:
    logits = np.array([[1.0, 3.0, -2.0], [0.0, 0.5, 4.0]], np.float32)
    targets = np.array([1, 0])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    own = p[[0, 1], targets]
    np.testing.assert_allclose(programs.log_odds(logits, targets), np.log(own / (1 - own)), 1e-5)
    np.testing.assert_allclose(
        programs.log_odds(logits + 7, targets), programs.log_odds(logits, targets), 1e-4
    )


@pytest.mark.parametrize('shape', [(28, 28), (224, 224), (16, 9)])
def test_windows_cover_every_pixel(shape: tuple[int, int]) -> None:
    covers = occlusion.windows(*shape)
    assert covers.any(0).all()
    assert covers.sum((1, 2)).max() <= np.prod([-(-length // 7) for length in shape])
    assert len(covers) <= 15 * 15


@pytest.mark.parametrize(
    ('name', 'own', 'size', 'expected'),
    [
        ('cnn', {}, 28, 'conv2'),
        ('cnn_bn_dropout', {}, 28, 'bn2'),
        ('resnet8', {}, 28, 'layer3_0'),
        ('resnet18', {}, 28, 'layer2_1'),
        ('resnet18', {}, 224, 'layer4_1'),
        ('densenet121', {'blocks': (1, 1)}, 224, 'features_norm5'),
        ('convnext_tiny', {'blocks': (1, 2), 'dims': (8, 16)}, 224, 'stages_1_blocks_1'),
    ],
)
def test_gradcam_takes_the_last_map_that_is_one(
    name: str, own: dict[str, Any], size: int, expected: str
) -> None:
    model = models.create(name, num_classes=2, **own)
    variables = jax.eval_shape(
        functools.partial(model.init, train=False), jax.random.key(0), jnp.zeros((1, size, size, 1))
    )
    one = trained.Member(model, Preprocess(size, size, 1), '', variables)
    assert gradcam.layer(one) == (expected,)


def test_gradcam_weighs_channels_by_their_mean_gradient() -> None:
    """Which is what a channel's shift, the same at all places, does to the log-odds."""
    one, images, target = member('cnn_bn_dropout'), ill()[0][:3], np.ones(3, np.int32)
    path = gradcam.layer(one)
    inputs = PREPROCESS.normalise(PREPROCESS.unit(images))

    @jax.jit
    def shifted(by: jax.Array) -> tuple[jax.Array, jax.Array]:
        apply = programs.tapped(one.model, lambda module, _: module.path == path, {path: by})
        logits, seen = apply(one.variables, inputs)
        return programs.log_odds(logits, target), seen[path]

    maps = np.asarray(shifted(jnp.zeros(()))[1])
    height, width, channels = maps.shape[1:]
    steps_of = 0.01 * np.eye(channels, dtype=np.float32)
    change = [np.asarray(shifted(step)[0] - shifted(-step)[0]) / 0.02 for step in steps_of]
    weights = np.stack(change, 1) / (height * width)
    cam = np.maximum((maps * weights[:, None, None]).sum(-1), 0)
    found = gradcam.gradcam(one, images, target)
    expected = programs.resized(cam, SIZE, SIZE)
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.max())


def test_gradcam_needs_a_map() -> None:
    model = models.create('resnet8', num_classes=2, stem=2, widths=(2,), stem_stride=16)
    variables = jax.eval_shape(
        functools.partial(model.init, train=False), jax.random.key(0), jnp.zeros((1, 28, 28, 1))
    )
    with pytest.raises(errors.UserError, match='use --method occlusion'):
        gradcam.layer(trained.Member(model, Preprocess(28, 28, 1), '', variables))


def test_a_good_map_deletes_and_inserts_better_than_its_opposite() -> None:
    one, (images, places) = member('cnn_bn_dropout'), ill()
    target = np.ones(len(images), np.int32)
    good = faithfulness.areas(one, images, target, places.astype(np.float32))
    bad = faithfulness.areas(one, images, target, -places.astype(np.float32))
    none = faithfulness.random_maps(places.shape)['random patches']
    chance = faithfulness.areas(one, images, target, none)
    deletion, insertion = (
        [area.mean() for area in kind] for kind in zip(good, chance, bad, strict=True)
    )
    assert deletion == sorted(deletion) and deletion[2] - deletion[0] > 0.2
    assert insertion == sorted(insertion, reverse=True) and insertion[0] - insertion[2] > 0.2


def test_areas_are_means_over_shares_of_changed_pixels() -> None:
    one, images = member('cnn_bn_dropout'), ill()[0][:3]
    target, maps = np.array([1, 0, 1], np.int32), np.random.default_rng(0).random((3, SIZE, SIZE))
    unit = images / np.float32(255)
    gray = np.broadcast_to(unit.mean((1, 2), keepdims=True), unit.shape)
    order = (-maps.reshape(3, -1)).argsort(1)
    found = faithfulness.areas(one, images, target, maps.astype(np.float32))
    for area, (before, after) in zip(
        found, ((unit, gray), (faithfulness.blurred(unit), unit)), strict=True
    ):
        curve = []
        for share in np.linspace(0, 1, 21):
            mixed = before.copy().reshape(3, -1)
            for row, pixels, new in zip(mixed, order, after.reshape(3, -1), strict=True):
                taken = pixels[: int(np.ceil(share * SIZE**2 - 1e-9))]
                row[taken] = new[taken]
            odds = programs.scores(one, mixed.reshape(unit.shape), target)
            curve.append(1 / (1 + np.exp(-np.asarray(odds, float))))
        expected = (np.array(curve[1:]) + curve[:-1]).mean(0) / 2
        np.testing.assert_allclose(area, expected, atol=1e-5)
    assert ((found[0] > 0) & (found[0] < 1)).all()


def test_what_is_blurred_has_lost_a_tenth_of_the_height() -> None:
    point = np.zeros((2, 40, 40, 1), np.float32)
    point[1, 20, 20] = 1
    soft = faithfulness.blurred(point)
    assert not soft[0].any()
    rows = soft[1, ..., 0].sum(1)
    assert np.sqrt(np.average((np.arange(40) - 20) ** 2, weights=rows)) == pytest.approx(4, 0.02)


def test_a_method_that_the_model_has_not() -> None:
    with pytest.raises(errors.UserError, match=r"'gradcam'.*relevance"):
        explain.heatmap(member('vit'), ill()[0], 1, 'gradcam')
    with pytest.raises(errors.UserError, match='uint8 images of shape'):
        explain.heatmap(member('vit'), np.zeros((1, 8, 8, 1), np.uint8), 1)


@pytest.mark.parametrize('channels', [1, 3])
def test_an_overlay_leaves_what_is_zero(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, channels), np.uint8)
    heat = np.zeros((8, 8), np.float32)
    heat[2, 3] = 1
    drawn = explain.overlay(image, heat)
    assert drawn.shape == (8, 8, 3) and drawn.dtype == np.uint8
    changed = (drawn != image).any(-1)
    assert changed[2, 3] and changed.sum() == 1


def test_every_model_has_a_method() -> None:
    assert {name: explain.default_method(name) for name in ('mlp', 'cnn', 'vit')} == {
        'mlp': 'integrated',
        'cnn': 'gradcam',
        'vit': 'relevance',
    }
    for name in models.MODELS:
        assert set(explain.allowed(name)) <= set(explain.METHODS)


@pytest.mark.parametrize(('name', 'method'), PAIRS)
def test_gray_images_of_a_model_of_three_scales_are_explained(name: str, method: str) -> None:
    """As weights of ImageNet expect them: the net is fed three channels."""
    preprocess = Preprocess(SIZE, SIZE, 1, (0.4, 0.5, 0.6), (0.2, 0.2, 0.3))
    model = models.create(name, num_classes=2, **MODELS[name])
    variables = model.init(jax.random.key(0), jnp.zeros((1, *preprocess.fed_shape)), train=False)
    found = explain.heatmap(
        trained.Member(model, preprocess, '', variables), ill()[0][:2], 1, method
    )
    assert found.shape == (2, SIZE, SIZE)
