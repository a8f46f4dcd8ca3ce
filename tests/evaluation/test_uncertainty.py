"""Entropy, disagreement, rejection, and dropout that stays on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pneumo_jax import models
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.evaluation import mc_dropout, uncertainty
from pneumo_jax.trained import Member


def test_entropy_and_mutual_information_by_hand() -> None:
    agreed = np.array([[[0.5, 0.5], [1.0, 0.0]]] * 2)
    np.testing.assert_allclose(uncertainty.entropy(agreed[0]), [np.log(2), 0])
    np.testing.assert_allclose(uncertainty.mutual_information(agreed), 0)
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(uncertainty.mutual_information(opposed), np.log(2))


def test_rejection_by_hand() -> None:
    doubt, right = np.array([0.3, 0.1, 0.2, 0.4]), np.array([False, True, True, False])
    curve = uncertainty.rejection(doubt, right)
    np.testing.assert_allclose(curve.accuracy, [1, 1, 2 / 3, 1 / 2])
    np.testing.assert_allclose(curve.kept, [0.25, 0.5, 0.75, 1])
    assert curve.area == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_ties_do_not_depend_on_the_order() -> None:
    doubt, right = np.array([1.0, 1, 1, 0]), np.array([True, False, True, True])
    curve = uncertainty.rejection(doubt, right)
    np.testing.assert_allclose(curve.accuracy, [1, 5 / 6, 7 / 9, 3 / 4])
    other = uncertainty.rejection(doubt[::-1], right[::-1])
    np.testing.assert_allclose(other.accuracy, curve.accuracy)


def member(name: str, **fields: object) -> Member:
    model = models.create(name=name, dtype='float32', num_classes=2, **fields)
    init = jax.jit(functools.partial(model.init, train=False))
    variables = init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    return Member(model, Preprocess(8, 8, 1), '', variables)


def test_dropout_is_on_and_the_rest_as_when_scored() -> None:
    dropping = member('cnn_bn_dropout', features=(4,), kernel=3, hidden=64, dropout=0.5)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    assert mc_dropout.has_dropout(dropping)
    predict, keys = mc_dropout.make_predict(dropping), mc_dropout.keys(0, 64)
    samples = np.stack([predict((dropping.variables, key), images) for key in keys])
    scored = np.asarray(dropping.predict(dropping.variables, images))
    assert samples.std(0).min() > 0.01
    # The head is linear: its mean over masks is what it says without any, and with batch statistics
    # instead of the running ones it would not be.
    error = samples.std(0) / np.sqrt(len(keys))
    assert (np.abs(samples.mean(0) - scored) < 4 * error).all()
    again = predict((dropping.variables, keys[0]), images)
    np.testing.assert_array_equal(again, samples[0])


def test_without_dropout_nothing_is_left_on() -> None:
    still = member('cnn_bn_dropout', features=(4,), kernel=3, hidden=8, dropout=0.0)
    images = np.full((2, 8, 8, 1), 100, np.uint8)
    (key,) = mc_dropout.keys(0, 1)
    assert not mc_dropout.has_dropout(still)
    np.testing.assert_allclose(
        mc_dropout.make_predict(still)((still.variables, key), images),
        still.predict(still.variables, images),
        atol=1e-6,
    )
