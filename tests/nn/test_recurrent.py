"""Recurrent layers and embeddings: lengths, states, steps, and what they refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest

from portnn import nn, ops, tree
from portnn.autodiff import grad
from portnn.compile import jit
from portnn.nn import GRU, LSTM, RNN, Embedding
from portnn.random import stream

KINDS = [RNN, GRU, LSTM]
X = np.random.default_rng(0).normal(size=(3, 4, 2))
LENGTHS = np.asarray([4, 2, 0])
ONE, ROW = np.ones((1, 1)), np.ones((1, 3))


def made(cls, *sizes, **options):
    layer = cls(*sizes, **options)
    return layer, layer.init(stream(0), "float64")


@pytest.mark.parametrize("cls", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_as_if_each_sequence_stood_alone(cls, bidirectional):
    layer, params = made(cls, 2, 3, num_layers=2, bidirectional=bidirectional, returns="both")
    y, state = layer.apply(params, X, lengths=LENGTHS)
    for i, n in enumerate(LENGTHS):
        assert not y[i, n:].any()
        if n:
            alone, last = layer.apply(params, X[i : i + 1, :n])
            np.testing.assert_allclose(y[i, :n], alone[0], rtol=1e-14, atol=1e-16)
            for a, b in zip(tree.leaves(state), tree.leaves(last), strict=True):
                np.testing.assert_allclose(a[i], b[0], rtol=1e-14, atol=1e-16)
        else:
            assert not any(leaf[i].any() for leaf in tree.leaves(state))


@pytest.mark.parametrize("cls", KINDS)
def test_what_stands_in_the_padding_plays_no_part(cls):
    layer, params = made(cls, 2, 3, bidirectional=True)
    worst = X.copy()
    worst[1, 2:], worst[2] = np.nan, np.inf

    def loss(p, x):
        return ops.sum(ops.square(layer.apply(p, x, lengths=LENGTHS)))

    for a, b in zip(tree.leaves(grad(loss)(params, worst)), tree.leaves(grad(loss)(params, X)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cls", KINDS)
def test_steps_make_the_sequence(cls):
    layer, params = made(cls, 2, 3, num_layers=2, returns="both")
    y, last = layer.apply(params, X)
    state = layer.zero_state(3, like=X)
    for t in range(4):
        out, state = layer.step(params, X[:, t], state)
        np.testing.assert_allclose(out, y[:, t], rtol=1e-14)
    for a, b in zip(tree.leaves(state), tree.leaves(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("cls", KINDS)
def test_a_sequence_in_two_halves(cls):
    layer, params = made(cls, 2, 3, returns="both")
    whole, last = layer.apply(params, X)
    first, between = layer.apply(params, X[:, :2])
    second, end = layer.apply(params, X[:, 2:], between)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-14)
    for a, b in zip(tree.leaves(end), tree.leaves(last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("cls", KINDS)
def test_last_is_the_end_of_both_directions(cls):
    layer, params = made(cls, 2, 3, bidirectional=True, returns="last")
    y = cls(2, 3, bidirectional=True).apply(params, X)
    expected = np.concatenate([y[:, -1, :3], y[:, 0, 3:]], 1)
    np.testing.assert_array_equal(layer.apply(params, X), expected)


def test_lengths_are_arguments_of_a_plan():
    layer, params = made(GRU, 2, 3)
    planned = jit(lambda p, x, n: layer.apply(p, x, lengths=n))
    for lengths in (LENGTHS, LENGTHS, LENGTHS[::-1].copy()):
        np.testing.assert_array_equal(planned(params, X, lengths), layer.apply(params, X, lengths=lengths))
    assert planned.plans == 1


def test_extreme_inputs_saturate():
    for cls in (GRU, LSTM, RNN):
        layer, params = made(cls, 2, 3)
        g = grad(lambda p, layer=layer: ops.sum(layer.apply(p, X * 1e300)))(params)
        assert all(np.isfinite(leaf).all() for leaf in tree.leaves(g))


@pytest.mark.parametrize("cls", KINDS)
def test_same_on_every_backend(cls, backend):
    layer = cls(2, 3, bidirectional=True)
    params = layer.init(stream(0))
    x = X.astype(np.float32)
    expected = layer.apply(params, x, lengths=LENGTHS)
    found = layer.apply(
        tree.map(backend.asarray, params), backend.asarray(x), lengths=backend.asarray(LENGTHS)
    )
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        Embedding(5, 3, padding_idx=2),
        RNN(2, 3, activation=nn.relu),
        GRU(2, 3, num_layers=2),
        LSTM(2, 3, bias=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_described(layer):
    assert nn.from_description(json.loads(json.dumps(nn.describe(layer)))) == layer


def test_parameters_without_bias():
    for cls in KINDS:
        layer, params = made(cls, 2, 3, bias=False)
        assert set(params[0]) == {"input", "hidden"}
        assert layer.apply(params, X).shape == (3, 4, 3)


def test_padding_of_an_embedding_is_zero_and_stays_so():
    layer = Embedding(4, 3, padding_idx=1)
    params = layer.init(stream(0), "float64")
    assert not params["weight"][1].any()
    assert params["weight"][0].all()
    g = grad(lambda p: ops.sum(layer.apply(p, np.asarray([1, 3, 3, 1]))))(params)
    assert g["weight"].tolist() == [[0.0] * 3, [0.0] * 3, [0.0] * 3, [2.0] * 3]


def test_padding_of_a_large_embedding_gets_no_gradient():
    g = grad(lambda w: ops.sum(ops.embedding(w, np.asarray([1, 299, 299, 1]), padding=1)))(np.ones((300, 2)))
    assert g.sum() == 4.0
    assert g[299].tolist() == [2.0, 2.0]


def test_a_symbol_that_does_not_exist():
    params = Embedding(4, 3).init(stream(0))
    with pytest.raises(IndexError):
        Embedding(4, 3).apply(params, np.asarray([4]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Embedding(0, 3), ValueError, "num_embeddings must be at least 1"),
        (lambda: Embedding(3, 3, padding_idx=3), ValueError, "padding_idx must be below"),
        (lambda: Embedding(3, 3, padding_idx=-1), ValueError, "padding_idx"),
        (lambda: Embedding(3, 3).apply({"weight": X[0]}, X), TypeError, "expected integers"),
        (lambda: Embedding(3, 3).apply({}, LENGTHS), ValueError, "parameters named weight"),
        (lambda: ops.embedding(X[0], X), TypeError, "indices must be integers"),
        (lambda: ops.embedding(X, LENGTHS), ValueError, r"\(rows, features\)"),
        (lambda: GRU(2, 0), ValueError, "hidden_features must be at least 1"),
        (lambda: GRU(2, 3, returns="all"), ValueError, "returns must be"),
        (lambda: RNN(2, 3, activation=nn.gelu), ValueError, "activation must be portnn.tanh"),
        (lambda: GRU(2, 3).apply((), X), ValueError, "tuple of parameters for 1"),
        (lambda: GRU(2, 3).apply(({},), X), ValueError, "parameters named input"),
        (lambda: GRU(2, 3).apply((), X[0]), ValueError, r"\(n, time, 2\)"),
        (lambda: GRU(2, 3).apply((), X[:, :0]), ValueError, "at least one step"),
        (lambda: GRU(3, 3).apply((), X), ValueError, r"expected .*3\)"),
        (lambda: GRU(2, 3).apply((), X, lengths=LENGTHS[:2]), ValueError, r"lengths of shape \(3,\)"),
        (lambda: GRU(2, 3).apply((), X, lengths=LENGTHS * 1.0), TypeError, "lengths must be integers"),
        (lambda: GRU(2, 3).apply((), X, (X, X)), ValueError, "zero_state"),
        (lambda: GRU(2, 3, bidirectional=True).step((), X[0], ()), ValueError, "no single step"),
        (lambda: ops.gru_step(X[0], X[0], X[0]), ValueError, "gru_step: expected x"),
        (lambda: ops.gru_step(ROW, ONE, ROW, X[0]), ValueError, "hidden_bias"),
        (lambda: ops.lstm_step(X[0, :1], ONE, X[0], ONE), ValueError, "lstm_step: expected x"),
        (lambda: ops.rnn_step(ONE, ONE, ONE, activation="sin"), ValueError, "'tanh' or 'relu'"),
        (lambda: ops.rnn_step(LENGTHS, LENGTHS, LENGTHS), TypeError, "floating-point"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert len(str(caught.value)) < 300


def test_a_state_that_is_no_pair_is_refused():
    layer, params = made(LSTM, 2, 3)
    for state in ((np.zeros((3, 3)),), (None,), ((np.zeros((3, 3)),),)):
        with pytest.raises(ValueError, match="LSTM: expected a state as zero_state makes it, a pair of"):
            layer.apply(params, X, state)
    with pytest.raises(TypeError, match="expected an array, got list; make one with"):
        layer.apply(params, X, lengths=[4, 2, 0])
