"""Dropout inside layers for sequences: only in training, only with a key, the same for the same key."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import nn, tree
from portnn.compile import jit
from portnn.random import key, stream
from portnn.testing import check_gradients

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
ENCODER = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, dropout=0.5, activation=nn.tanh), 2)
LAYERS = [
    nn.GRU(4, 3, num_layers=2, dropout=0.5),
    nn.MultiHeadAttention(4, 2, dropout=0.5),
    ENCODER,
    nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, dropout=0.5, activation=nn.gelu), 2),
]
each = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)


def run(layer, params, **options):
    more = (X,) if isinstance(layer, nn.TransformerDecoder) else ()
    return layer.apply(params, X, *more, **options)


def drawn(layer):
    """Parameters that are nowhere zero, as biases are at first."""
    rng = np.random.default_rng(3)
    return tree.map(lambda a: rng.normal(size=a.shape), layer.init(stream(0), "float64"))


@each
def test_only_in_training_and_only_with_a_key(layer):
    params = layer.init(stream(0))
    assert layer.draws
    np.testing.assert_array_equal(run(layer, params), run(layer, params, key=key(0)))
    with pytest.raises(TypeError, match="got no key"):
        run(layer, params, training=True)


@each
def test_same_for_the_same_key_and_in_a_plan(layer):
    params = layer.init(stream(0))

    def f(p, k):
        return run(layer, p, training=True, key=k)

    a, b = f(params, key(0)), f(params, key(1))
    assert (a != b).any()
    assert (a != run(layer, params)).any()
    planned = jit(f)
    for k, expected in ((key(0), a), (key(1), b)):
        np.testing.assert_array_equal(planned(params, k), expected)
    assert planned.plans == 1


@each
def test_gradients_are_right(layer):
    wide = X.astype(np.float64)
    more = (wide,) if isinstance(layer, nn.TransformerDecoder) else ()

    def f(p):
        return layer.apply(p, wide, *more, training=True, key=key(0))

    check_gradients(f, (drawn(layer),), order=1, directions=1, tolerance=1e-7)


def test_everything_dropped_leaves_the_shortcut():
    layer = nn.TransformerEncoderLayer(4, 2, dropout=1.0)
    y = layer.apply(layer.init(stream(0)), X, training=True, key=key(0))
    np.testing.assert_array_equal(y, X)


def test_without_dropout_nothing_draws():
    assert not nn.GRU(4, 3, dropout=0.5).draws  # a single layer has nothing between
    assert not nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2).draws
    with pytest.raises(ValueError, match="dropout must be a probability from 0 to 1"):
        nn.LSTM(4, 3, dropout=1.5)
    with pytest.raises(TypeError, match="dropout must be a number"):
        nn.MultiHeadAttention(4, 2, dropout="half")
