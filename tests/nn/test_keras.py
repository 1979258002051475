"""Lists of weights as Keras has them. What Keras computes is written out here with its channels last."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import Network, nn, tree
from portnn.nn import from_keras, to_keras
from portnn.random import stream

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def convolved(x, kernel, bias):
    """Keras's Conv2D, "valid": x (n, h, w, in), kernel (kh, kw, in, out)."""
    kh, kw = kernel.shape[:2]
    h, w = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    rows = [
        [np.einsum("nhwi,hwio->no", x[:, i : i + kh, j : j + kw], kernel) for j in range(w)] for i in range(h)
    ]
    return np.moveaxis(np.asarray(rows), 2, 0) + bias


def spread(x, kernel, bias):
    """Keras's Conv2DTranspose with stride 1: x (n, h, w, in), kernel (kh, kw, out, in)."""
    (kh, kw, out, _), (n, h, w, _) = kernel.shape, x.shape
    y = np.zeros((n, h + kh - 1, w + kw - 1, out))
    for i in range(h):
        for j in range(w):
            y[:, i : i + kh, j : j + kw] += np.einsum("hwoi,ni->nhwo", kernel, x[:, i, j])
    return y + bias


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    """Keras's LSTM: all outputs (n, time, units)."""
    n, units = len(x), len(recurrent)
    h, c, outputs = np.zeros((n, units)), np.zeros((n, units)), []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def gru(x, kernel, recurrent, bias):
    """Keras's GRU with reset_after=True: all outputs (n, time, units)."""
    h, outputs = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + bias[0], 3, axis=1)
        rz, rr, rh = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = sigmoid(xz + rz), sigmoid(xr + rr)
        h = z * h + (1.0 - z) * np.tanh(xh + r * rh)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def simple_rnn(x, kernel, recurrent, bias):
    """Keras's SimpleRNN: all outputs (n, time, units)."""
    h, outputs = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def prelu(x, alpha):
    """Keras's PReLU: channels are the last axis."""
    return np.maximum(x, 0) - alpha * np.maximum(-x, 0)


RECURRENT = {"LSTM": (nn.LSTM, lstm, 4), "GRU": (nn.GRU, gru, 3), "SimpleRNN": (nn.RNN, simple_rnn, 1)}


def recurrent_weights(name, inputs, units):
    gates = RECURRENT[name][2] * units
    return [normal(inputs, gates), normal(units, gates), normal(2, gates) if name == "GRU" else normal(gates)]


def both_ways(unit, x, forwards, backwards):
    """Keras's Bidirectional with return_sequences=True."""
    return np.concatenate([unit(x, *forwards), unit(x[:, ::-1], *backwards)[:, ::-1]], axis=2)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_networks_of_keras(name):
    kind, unit, _ = RECURRENT[name]
    x = normal(2, 5, 3)
    first, second = recurrent_weights(name, 3, 4), recurrent_weights(name, 4, 4)
    alpha, w, b = normal(4), normal(4, 2), normal(2)
    expected = prelu(unit(unit(x, *first), *second)[:, -1], alpha) @ w + b
    weights = [*first, *second, alpha, w, b]
    for layers in (
        [kind(3, 4), kind(4, 4, returns="last"), nn.PReLU(4), nn.Linear(4, 2)],
        [kind(3, 4, num_layers=2, returns="last"), [nn.PReLU(4), nn.Linear(4, 2)]],
    ):
        net = Network(layers)
        net.load_params(*from_keras(net.layer, weights))
        found = net.layer.apply(net.params, x, state=net.state)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        for mine, theirs in zip(to_keras(net.layer, net.params, net.state), weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", RECURRENT)
def test_bidirectional_networks_of_keras(name):
    kind, unit, _ = RECURRENT[name]
    x = normal(2, 5, 3)
    ways = [recurrent_weights(name, 3, 4), recurrent_weights(name, 3, 4)]
    expected = both_ways(unit, x, *ways)
    layer = kind(3, 4, bidirectional=True)
    params, _ = from_keras(layer, ways[0] + ways[1])
    np.testing.assert_allclose(layer.apply(params, x), expected, rtol=1e-4, atol=1e-5)
    last = kind(3, 4, bidirectional=True, returns="last").apply(params, x)
    ends = np.concatenate([expected[:, -1, :4], expected[:, 0, 4:]], axis=1)
    np.testing.assert_allclose(last, ends, rtol=1e-4, atol=1e-5)


def test_slopes_of_keras_behind_images():
    kernel, bias, alpha, one, w, b = (
        normal(3, 3, 2, 4),
        normal(4),
        normal(1, 1, 4),
        normal(1),
        normal(64, 3),
        normal(3),
    )
    x, flat = normal(2, 6, 6, 2), normal(64)
    y = prelu(prelu(convolved(x, kernel, bias), alpha), one).reshape(2, -1)
    expected = prelu(y, flat) @ w + b
    layers = [nn.Conv2d(2, 4, 3), nn.PReLU(4), nn.PReLU(), nn.Flatten(), nn.PReLU(64), nn.Linear(64, 3)]
    layer = nn.Sequential(layers)
    weights = [kernel, bias, alpha, one.reshape(1, 1, 1), flat, w, b]
    params, state = from_keras(layer, weights, flattened=(4, 4, 4))
    found = layer.apply(params, np.moveaxis(x, 3, 1), state=state)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(to_keras(layer, params, flattened=(4, 4, 4)), weights, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


def test_a_convolutional_network_of_keras():
    k1, b1, k2, b2 = normal(3, 2, 2, 4), normal(4), normal(2, 2, 3, 4), normal(3)
    gamma, beta, mean, var = normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.5
    w3, b3 = normal(5 * 6 * 3, 7), normal(7)
    weights = [k1, b1, k2, b2, gamma, beta, mean, var, w3, b3]
    x = normal(5, 6, 6, 2)
    y = spread(np.maximum(convolved(x, k1, b1), 0), k2, b2)
    y = (y - mean) / np.sqrt(var + 1e-3) * gamma + beta
    expected = y.reshape(5, -1) @ w3 + b3

    layers = [
        nn.Conv2d(2, 4, (3, 2)), nn.relu, [nn.ConvTranspose2d(4, 3, 2), nn.BatchNorm(3, eps=1e-3)],
        nn.Flatten(), nn.Linear(90, 7),
    ]  # fmt: skip
    net = Network(layers)
    net.load_params(*from_keras(net.layer, weights, flattened=(3, 5, 6)))
    found = net.layer.apply(net.params, np.moveaxis(x, 3, 1), state=net.state)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    back = to_keras(net.layer, net.params, net.state, flattened=(3, 5, 6))
    for a, b in zip(back, weights, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.shares_memory(a, b)


LAYERS = {
    "dense": (nn.Linear(3, 2), [(3, 2), (2,)]),
    "no bias": (nn.Linear(3, 2, bias=False), [(3, 2)]),
    "signals": ([nn.Conv1d(3, 4, 5), nn.ConvTranspose1d(4, 2, 3)], [(5, 3, 4), (4,), (3, 2, 4), (2,)]),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), [(3, 3, 2, 6), (6,)]),
    "words": ([nn.Embedding(9, 4), nn.LayerNorm(4)], [(9, 4), (4,), (4,)]),
    "norms": ([nn.GroupNorm(2, 4), nn.BatchNorm(4, affine=False), nn.LayerNorm(4, bias=False)], [(4,)] * 5),
    "recurrent": (
        [nn.LSTM(3, 2, num_layers=2), nn.GRU(2, 4, bias=False, bidirectional=True), nn.PReLU(), nn.RNN(8, 2)],
        [(3, 8), (2, 8), (8,), (2, 8), (2, 8), (8,), *[(2, 12), (4, 12)] * 2, (1, 1), (8, 2), (2, 2), (2,)],
    ),
    "slopes": (
        [nn.Conv1d(3, 4, 2), nn.PReLU(4), nn.GlobalAvgPool1d(), nn.PReLU(4)],
        [(2, 3, 4), (4,), (1, 4), (4,)],
    ),
    "nothing": ([nn.relu, nn.Dropout(0.1)], []),
    "flat norm": ([nn.Flatten(), nn.BatchNorm(12), nn.Linear(12, 2)], [(12,)] * 4 + [(12, 2), (2,)]),
}


@pytest.mark.parametrize(("layers", "shapes"), LAYERS.values(), ids=LAYERS)
def test_there_and_back(layers, shapes):
    layer = nn.Sequential(layers if isinstance(layers, list) else [layers])
    flattened = (2, 3, 2) if any(isinstance(part, nn.Flatten) for part in layer.layers) else None
    params, state = layer.init(stream(0)), layer.init_state()
    weights = to_keras(layer, params, flattened=flattened)
    assert [a.shape for a in weights] == shapes
    found = from_keras(layer, weights, flattened=flattened)
    assert tree.structure(found) == tree.structure((params, state))
    assert all(map(np.array_equal, tree.leaves(found), tree.leaves((params, state))))


def test_rows_behind_an_image_change_places():
    layer = nn.Sequential([nn.Flatten(), nn.Linear(4, 1, bias=False)])
    params, _ = from_keras(layer, [np.asarray([[0.0], [1.0], [2.0], [3.0]])], flattened=(2, 1, 2))
    assert params[1]["weight"][:, 0].tolist() == [0.0, 2.0, 1.0, 3.0]


def test_what_is_refused():
    good = [np.ones((3, 2)), np.ones(2)]
    cases = [
        (
            nn.MultiHeadAttention(4, 2),
            [],
            TypeError,
            "MultiHeadAttention: Keras has no such layer, or lists its weights differently",
        ),
        (
            nn.Sequential([nn.relu, nn.GRU(3, 2)]),
            [np.ones((3, 6)), np.ones((2, 6)), np.ones(6)],
            ValueError,
            r"weight 2, params.1.0.bias: expected shape \(2, 6\), got \(6,\); .* needs reset_after=True",
        ),
        (
            nn.LSTM(3, 2),
            [np.ones((3, 8)), np.ones((2, 6)), np.ones(8)],
            ValueError,
            r"weight 1, params.0.hidden: expected shape \(2, 8\), got \(2, 6\)",
        ),
        (
            nn.Sequential([nn.Conv2d(1, 4, 3), nn.PReLU(4)]),
            [np.ones((3, 3, 1, 4)), np.ones(4), np.ones((6, 6, 4))],
            ValueError,
            r"expected shape \(1, 1, 4\), got \(6, 6, 4\); Keras's PReLU needs shared_axes",
        ),
        (
            nn.Sequential([nn.LSTM(3, 2), nn.PReLU(2)]),
            [],
            TypeError,
            "PReLU: on sequences portnn has one slope per time step",
        ),
        (nn.ConvTranspose2d(2, 2, 3, groups=2), [], TypeError, "ConvTranspose2d: Keras has no such"),
        (nn.Linear(3, 2), good[:1], ValueError, "expected 2 weights, got 1"),
        (
            nn.Linear(3, 2),
            good[::-1],
            ValueError,
            r"weight 0, params.weight: expected shape \(3, 2\), got \(2,\)",
        ),
        (nn.Linear(3, 2), [good[0], np.ones(2, int)], TypeError, "weight 1, .*: expected real numbers"),
    ]
    for layer, weights, kind, text in cases:
        with pytest.raises(kind, match=text):
            from_keras(layer, weights)
    flat = nn.Sequential([nn.Flatten(), nn.Linear(4, 1)])
    with pytest.raises(ValueError, match=r"flattened=\(1, 2, 3\) is 6 numbers, but there are 4"):
        to_keras(flat, flat.init(stream(0)), flattened=(1, 2, 3))
    with pytest.raises(ValueError, match="expected params and state as Linear makes them"):
        to_keras(nn.Linear(3, 2), {"weight": good[0]})


CONV = [nn.Conv2d(1, 4, 3), nn.relu, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3)]
BEFORE_FLATTEN = {
    "pooled images": (CONV, (4, 8, 2), "4, height, width"),
    "in lists": (
        [CONV[:3], [nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 3)]],
        (4, 8, 2),
        "4, height, width",
    ),
    "signals": ([nn.Conv1d(2, 6, 3), nn.Flatten(), nn.Linear(24, 2)], (6, 4), "6, length"),
    "transposed": (
        [nn.ConvTranspose2d(2, 3, 3), nn.Flatten(), nn.Linear(18, 2)],
        (3, 1, 6),
        "3, height, width",
    ),
    "pooling alone": ([nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 2)], (2, 4, 1), "channels, height, width"),
    "padding alone": ([nn.ZeroPad1d(2), nn.Flatten(), nn.Linear(8, 2)], (2, 4), "channels, length"),
    "norm of channels": ([nn.BatchNorm(3), nn.Flatten(), nn.Linear(12, 2)], (3, 4, 1), "3, height, width"),
    "reshaped": (
        [nn.Reshape((2, 4, 4)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)],
        (2, 1, 4),
        "2, height, width",
    ),
    "norm behind": ([*CONV[:4], nn.BatchNorm(64)], (4, 8, 2), "4, height, width"),
    "slopes behind": ([*CONV[:4], nn.PReLU(64)], (4, 8, 2), "4, height, width"),
}


@pytest.mark.parametrize(("layers", "shape", "text"), BEFORE_FLATTEN.values(), ids=BEFORE_FLATTEN)
def test_flattened_images_need_their_shape(layers, shape, text):
    layer = nn.Sequential(layers)
    params, state = layer.init(stream(0)), layer.init_state()
    weights = to_keras(layer, params, state, flattened=shape)
    found = from_keras(layer, weights, flattened=shape)
    assert all(map(np.array_equal, tree.leaves(found), tree.leaves((params, state))))
    assert_refused(
        layer, params, weights, None, rf"^flattened: needed, .*flattened=\({text}\), \d+ numbers in all$"
    )
    if "channels" not in text:
        given = (*shape[1:], shape[0])
        assert_refused(layer, params, weights, given, rf"the {shape[0]} channels .* got \({given[0]}, ")


def assert_refused(layer, params, weights, flattened, text):
    for convert, given in ((from_keras, weights), (to_keras, params)):
        with pytest.raises(ValueError, match=text) as caught:
            convert(layer, given, flattened=flattened)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Flatten(), nn.Linear(12, 2)],
        [nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(12, 2)],
        [nn.Conv2d(1, 12, 3), nn.Flatten(), nn.Linear(12, 2)],
        [nn.Conv2d(1, 12, 3), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(12, 2)],
        [nn.Conv1d(1, 4, 3), nn.Flatten(), nn.PReLU(), nn.relu],
        [nn.Linear(3, 12), nn.BatchNorm(12), nn.Flatten(), nn.Linear(12, 2)],
        [nn.LSTM(3, 4), nn.Dropout1d(0.1), nn.Flatten(), nn.Linear(12, 2)],
        [nn.Reshape((1, 6, 4)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, 2)],
    ],
    ids=["nothing", "one channel", "one position", "means", "no rows", "vectors", "sequences", "gray"],
)
def test_flattened_is_not_needed_where_nothing_changes_places(layers):
    layer = nn.Sequential(layers)
    params = layer.init(stream(0))
    weights = to_keras(layer, params)
    assert all(map(np.array_equal, tree.leaves(from_keras(layer, weights)[0]), tree.leaves(params)))


def test_sequences_are_flattened_alike():
    layer = nn.Sequential([nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 2)])
    params = layer.init(stream(0))
    np.testing.assert_array_equal(to_keras(layer, params, flattened=(3, 4))[1], params[2]["weight"])
