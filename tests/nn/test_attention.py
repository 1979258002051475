"""Attention: masks, weights, positions, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from portnn import nn, ops, tree
from portnn.autodiff import grad, vjp
from portnn.nn import (
    MultiHeadAttention,
    SinusoidalPositions,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from portnn.random import key as portnn_key
from portnn.random import stream

X = np.random.default_rng(0).normal(size=(2, 5, 4))
LAYER = MultiHeadAttention(4, 2)
PARAMS = LAYER.init(stream(0), "float64")


def test_a_wholly_masked_row_gives_the_bias_and_no_gradient():
    real = np.asarray([[True] * 5, [False] * 5])

    def loss(p, x):
        return ops.sum(ops.square(LAYER.apply(p, x, key_mask=real)[1:]))

    params = PARAMS | {"output": PARAMS["output"] | {"bias": np.arange(4.0)}}
    y = LAYER.apply(params, X, key_mask=real)
    assert y[1].tolist() == [[0.0, 1.0, 2.0, 3.0]] * 5
    g = grad(loss, argnums=(0, 1))(params, X)
    assert not any(leaf.any() for leaf in tree.leaves((g[0]["query"], g[0]["key"], g[0]["value"], g[1])))


def test_causal_attention_does_not_see_the_future():
    changed = X.copy()
    changed[:, 3:] += 1.0
    a, b = LAYER.apply(PARAMS, X, causal=True), LAYER.apply(PARAMS, changed, causal=True)
    np.testing.assert_array_equal(a[:, :3], b[:, :3])
    assert (a[:, 3:] != b[:, 3:]).all()


def test_masks_of_every_shape_say_the_same():
    allowed = np.tri(5, dtype=bool)
    expected = LAYER.apply(PARAMS, X, causal=True)
    for shape in ((5, 5), (2, 5, 5), (2, 2, 5, 5)):
        found = LAYER.apply(PARAMS, X, mask=np.broadcast_to(allowed, shape))
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_weights_are_those_that_are_used():
    y, weights = LAYER.apply(PARAMS, X, causal=True, weights=True)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-14)
    assert not weights[..., 0, 1:].any()
    np.testing.assert_allclose(y, LAYER.apply(PARAMS, X, causal=True), rtol=1e-14)


def test_rotary_products_depend_on_the_distance():
    q, k = X[:, :1], X[:, 1:2]
    at = [ops.rotary(a, np.asarray([i])) for a, i in ((q, 7), (k, 4), (q, 103), (k, 100))]
    np.testing.assert_allclose(at[0] @ at[1].mT, at[2] @ at[3].mT, rtol=1e-12)


def test_rotary_attention_tells_orders_apart():
    layer = MultiHeadAttention(4, 2, rotary=True)
    y = layer.apply(PARAMS, X)
    assert not np.allclose(layer.apply(PARAMS, X[:, ::-1])[:, ::-1], y)
    np.testing.assert_allclose(LAYER.apply(PARAMS, X[:, ::-1])[:, ::-1], LAYER.apply(PARAMS, X), rtol=1e-12)


def test_positions_of_a_single_step():
    layer = SinusoidalPositions(4)
    y = layer.apply({}, X)
    for t in range(5):
        step = layer.apply({}, X[:, t : t + 1], positions=np.asarray([t]))
        np.testing.assert_array_equal(step, y[:, t : t + 1])


def test_same_on_every_backend(backend):
    params, x = LAYER.init(stream(0)), X.astype(np.float32)
    real = np.asarray([[True] * 5, [False] * 5])
    expected = LAYER.apply(params, x, key_mask=real, causal=True)
    placed = tree.map(backend.asarray, params), backend.asarray(x)
    found = LAYER.apply(*placed, key_mask=backend.asarray(real), causal=True)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-5, atol=1e-6)


ENCODER = TransformerEncoder(TransformerEncoderLayer(4, 2, rotary=True), 2)
DECODER = TransformerDecoder(TransformerDecoderLayer(4, 2, 3, activation=nn.gelu, norm_first=False), 2)


def test_padding_plays_no_part_in_an_encoder():
    params, real = ENCODER.init(stream(0), "float64"), np.arange(5) < np.asarray([[5], [3]])
    y = ENCODER.apply(params, X, key_mask=real)
    alone = ENCODER.apply(params, X[1:, :3])
    np.testing.assert_allclose(y[1, :3], alone[0], rtol=1e-12)


def test_a_decoder_does_not_see_the_future():
    params = DECODER.init(stream(0), "float64")
    y = DECODER.apply(params, X, X)
    np.testing.assert_allclose(DECODER.apply(params, X[:, :3], X), y[:, :3], rtol=1e-12)


def test_layers_of_a_stack_have_parameters_of_their_own():
    first, second = ENCODER.init(stream(0))["layers"]
    assert (first["linear1"]["weight"] != second["linear1"]["weight"]).all()
    assert set(ENCODER.init(stream(0))) == {"layers", "norm"}
    assert set(DECODER.init(stream(0))) == {"layers"}


@pytest.mark.parametrize(
    "layer",
    [MultiHeadAttention(4, 2, memory_features=3), SinusoidalPositions(4, 100.0), ENCODER, DECODER],
    ids=lambda layer: type(layer).__name__,
)
def test_described(layer):
    assert nn.from_description(json.loads(json.dumps(nn.describe(layer)))) == layer


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MultiHeadAttention(4, 3), ValueError, "heads must divide features=4"),
        (lambda: MultiHeadAttention(3, 3, rotary=True), ValueError, "even number of features"),
        (lambda: MultiHeadAttention(4, 0), ValueError, "heads must be at least 1"),
        (lambda: LAYER.apply({}, X), ValueError, "parameters named query"),
        (lambda: LAYER.apply(PARAMS, X[0]), ValueError, r"\(n, length, features\)"),
        (lambda: LAYER.apply(PARAMS, X, X[:1]), ValueError, "memory of as many"),
        (lambda: LAYER.apply(PARAMS, X, mask=X), TypeError, "mask must be boolean"),
        (lambda: LAYER.apply(PARAMS, X, mask=X > 0), ValueError, r"mask of shape \(5, 5\) or"),
        (lambda: LAYER.apply(PARAMS, X, key_mask=X[0] > 0), ValueError, r"key_mask of shape \(2, 5\)"),
        (lambda: MultiHeadAttention(4, 2, rotary=True).apply(PARAMS, X, X), ValueError, "to itself"),
        (lambda: TransformerEncoderLayer(4, 3), ValueError, "heads must divide"),
        (
            lambda: TransformerEncoderLayer(4, 2, activation="relu"),
            TypeError,
            "activation must be a function",
        ),
        (lambda: TransformerEncoder(DECODER.layer, 2), TypeError, "must be a TransformerEncoderLayer"),
        (lambda: TransformerDecoder(DECODER.layer, 0), ValueError, "num_layers must be at least 1"),
        (lambda: ENCODER.apply({}, X), ValueError, "parameters named layers, norm"),
        (lambda: ENCODER.apply(ENCODER.init(stream(0)), X, X), TypeError, "further input"),
        (lambda: SinusoidalPositions(3), ValueError, "must be even"),
        (lambda: SinusoidalPositions(4, 1.0), ValueError, "base must be above 1"),
        (lambda: ops.rotary(X[..., :3], np.arange(5)), ValueError, "even number"),
        (lambda: ops.scaled_dot_product_attention(X, X, X[:, :2]), ValueError, "a value for each of 5"),
        (lambda: ops.scaled_dot_product_attention(X, X[..., :2], X), ValueError, "expected queries"),
        (lambda: ops.attention_weights(X, X, np.ones((5, 5))), TypeError, "mask must be boolean"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert len(str(caught.value)) < 300


def test_attention_to_nothing_is_zero():
    """A memory of length zero: all rows are wholly masked, and there is no maximum to take."""

    def loss(p, x):
        return ops.sum(ops.square(LAYER.apply(p, x, X[:, :0])))

    params = PARAMS | {"output": PARAMS["output"] | {"bias": np.arange(4.0)}}
    assert LAYER.apply(params, X, X[:, :0]).tolist() == [[[0.0, 1.0, 2.0, 3.0]] * 5] * 2
    g = grad(loss, argnums=(0, 1))(params, X)
    assert not any(leaf.any() for leaf in tree.leaves((g[0]["query"], g[0]["key"], g[0]["value"], g[1])))
    assert LAYER.apply(params, X[:, :0]).shape == (2, 0, 4)


def test_parameters_of_another_bias_are_refused():
    with pytest.raises(ValueError, match="expected parameters named weight, bias as init makes them"):
        LAYER.apply(MultiHeadAttention(4, 2, bias=False).init(stream(0)), X)
    with pytest.raises(
        ValueError, match="expected parameters named weight, bias as init makes them, got int"
    ):
        LAYER.apply(dict.fromkeys(("query", "key", "value", "output"), 1), X)
    with pytest.raises(TypeError, match="expected an array, got list; make one with"):
        LAYER.apply(PARAMS, X, mask=[[True] * 5] * 5)


# What a mask rules out plays no part, whatever it holds: the oracle is the same computation with finite
# numbers there, or without it.
BAD = pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
REAL = np.asarray([[True] * 5, [True, True, True, False, False]])


def spoiled(bad):
    """The sequences with something else in the elements that are not real."""
    return np.where(REAL[..., None], X, bad)


def compare_gradients(f, args, others, rtol=1e-12):
    """Value and gradients of a function at two lists of arguments are the same."""
    for a, b in zip(tree.leaves(f(*args)), tree.leaves(f(*others)), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)
    g, h = (grad(lambda *a: ops.sum(ops.square(f(*a))), argnums=(0, 1))(*a) for a in (args, others))
    for a, b in zip(tree.leaves(g), tree.leaves(h), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


@BAD
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_stands_behind_a_key_mask_plays_no_part(bad, causal, dropout):
    layer = MultiHeadAttention(4, 2, dropout=dropout)

    def f(p, x):
        y = layer.apply(p, x, key_mask=REAL, causal=causal, training=True, key=portnn_key(3))
        return y * REAL[..., None]

    compare_gradients(f, (PARAMS, spoiled(bad)), (PARAMS, spoiled(0.0)))


@BAD
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_stands_in_padded_memory_plays_no_part(bad, dropout):
    layer, query = MultiHeadAttention(4, 2, dropout=dropout), X[:, ::-1].copy()

    def f(p, memory):
        y, _ = layer.apply(p, query, memory, key_mask=REAL, weights=True, training=True, key=portnn_key(3))
        return y

    compare_gradients(f, (PARAMS, spoiled(bad)), (PARAMS, spoiled(0.0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("norm_first", [False, True])
def test_padding_of_transformers_plays_no_part(bad, norm_first):
    encoder = TransformerEncoder(TransformerEncoderLayer(4, 2, 6, norm_first=norm_first), 2)
    decoder = TransformerDecoder(TransformerDecoderLayer(4, 2, 6, norm_first=norm_first), 2)
    params = (encoder.init(stream(0), "float64"), decoder.init(stream(1), "float64"))

    def f(p, x):
        memory = encoder.apply(p[0], x, key_mask=REAL)
        y = decoder.apply(p[1], x, memory, key_mask=REAL, memory_mask=REAL)
        return y * REAL[..., None]

    compare_gradients(f, (params, spoiled(bad)), (params, spoiled(0.0)), rtol=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_mask_keeps_keys_and_values_out_of_products(bad, backend):
    """In `ops`: values and all three gradients, with masks for keys, for pairs and for the future."""
    q, k, v = (np.random.default_rng(i).normal(size=(2, 4, 3)) for i in range(3))
    hidden = np.asarray([[True] * 4, [True, False, True, False]])
    worse_k, worse_v = (np.where(hidden[..., None], a, bad) for a in (k, v))
    masks = [hidden[:, None, :], np.broadcast_to(hidden[:, None, :], (2, 4, 4)), hidden[:, None, None, :]]
    for mask in masks:
        for causal in (False, True):
            found, expected = (
                attended(backend, [q, *kv], mask, causal, np.ones((2, 4, 3)))
                for kv in ((worse_k, worse_v), (k * hidden[..., None], v * hidden[..., None]))
            )
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan])
def test_the_future_may_hold_anything(bad, backend):
    """Causal attention of the first steps, in value and gradient, is that of a sequence that ends there."""
    q, k, v = (np.random.default_rng(i).normal(size=(1, 4, 3)) for i in range(3))
    seed = np.concatenate([np.ones((1, 2, 3)), np.zeros((1, 2, 3))], axis=1)
    worse = [a.copy() for a in (q, k, v)]
    worse[2][:, 2, :2] = bad
    found = attended(backend, worse, None, True, seed)
    short = attended(backend, [a[:, :2] for a in (q, k, v)], None, True, np.ones((1, 2, 3)))
    np.testing.assert_allclose(found[0][:, :2], short[0], rtol=2e-5)
    for a, b in zip(found[1:], short[1:], strict=True):
        np.testing.assert_allclose(a[:, :2], b, rtol=2e-5, atol=1e-7)
        assert not a[:, 2:].any()
    assert np.isnan(found[0][:, 2:, :2]).all() if np.isnan(bad) else (found[0][:, 2:, :2] == bad).all()
    assert np.isfinite(found[0][:, 2:, 2]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_of_the_past_do_not_see_keys_of_the_future(bad):
    q, k = (np.random.default_rng(i).normal(size=(4, 3)) for i in range(2))
    worse = k.copy()
    worse[2:] = bad

    def f(q, k):
        return ops.attention_weights(q, k, causal=True)[:2, :2]

    def short(q, k):
        return ops.attention_weights(q[:2], k[:2], causal=True)

    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(f(q, worse), short(q, k), rtol=1e-14)
        assert np.isnan(ops.attention_weights(q, worse, causal=True)[2:]).all()


def test_what_is_attended_shows():
    """NaN in a key or a value that counts reaches each query that may attend it, and no other."""
    q, k, v = (np.random.default_rng(i).normal(size=(3, 2)) for i in range(3))
    v[1, 0] = np.nan
    mask = np.asarray([[True, False, True], [True, True, False], [False, True, True]])
    y = ops.scaled_dot_product_attention(q, k, v, mask)
    assert np.isnan(y).tolist() == [[False, False], [True, False], [True, False]]
    assert np.isnan(ops.scaled_dot_product_attention(q, k, v, np.asarray([True, True, False]))[:, 0]).all()
    assert np.isfinite(ops.scaled_dot_product_attention(q, k, v, np.asarray([True, False, True]))).all()


def attended(backend, arrays, mask, causal, seed):
    """Attention and its gradients on a backend, as NumPy arrays."""
    given = [backend.asarray(a, "float32") for a in arrays]
    allowed = None if mask is None else backend.asarray(mask)
    if mask is not None and mask.ndim == 4:  # a head more
        given, seed = [a[:, None, ...] for a in given], seed[:, None]

    def f(q, k, v):
        return ops.scaled_dot_product_attention(q, k, v, allowed, causal=causal)

    value, pullback = vjp(f, *given)
    plain = f(*given)
    np.testing.assert_array_equal(backend.to_numpy(plain), backend.to_numpy(value))
    return [backend.to_numpy(a) for a in (value, *pullback(backend.asarray(seed, "float32")))]
