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
        (nn.LSTM(3, 2), [], TypeError, "LSTM: Keras has no such layer, or lists its weights in other ways"),
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
