"""A penalty of the parameters: its gradient, its size by samples, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import Linear, Network, losses, ops, optim

X = np.asarray([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5], [-1.0, 4.0]], dtype=np.float32)
Y = np.asarray([[1.0], [2.0], [0.0], [3.0]], dtype=np.float32)


def l2(params, n):
    return ops.sum(ops.square(params[0]["weight"])) * 2.0 / n


def network(backend):
    return Network([Linear(2, 1)], loss=losses.squared_error, backend=backend)


def stepped(w, b, x, y, rate, weight):
    error = (x @ w + b - y) * weight[:, None] / weight.sum()
    loss = float(np.sum(error * (x @ w + b - y)) + 2.0 * np.sum(w * w) / weight.sum())
    return w - rate * (2 * x.T @ error + 4.0 * w / weight.sum()), b - rate * 2 * error.sum(0), loss


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5, 3.0]])
def test_each_batch_is_penalised_by_its_samples(backend, compile, accumulate, weight):
    net = network(backend.backend)
    w, b = (np.array(backend.to_numpy(net.params[0][name])) for name in ("weight", "bias"))
    weights = np.ones(4) if weight is None else np.asarray(weight)
    losses_by_hand = []
    for rows in (slice(0, 3), slice(3, 4)):
        w, b, loss = stepped(w, b, X[rows], Y[rows], 0.01, weights[rows])
        losses_by_hand.append(loss * weights[rows].sum() / weights.sum())
    history = net.fit(
        X, Y, epochs=1, batch_size=3, shuffle=False, optimizer=optim.sgd(0.01), penalty=l2,
        sample_weight=weight, compile=compile, accumulate=accumulate,
    )  # fmt: skip
    np.testing.assert_allclose(backend.to_numpy(net.params[0]["weight"]), w, rtol=1e-5)
    np.testing.assert_allclose(backend.to_numpy(net.params[0]["bias"]), b, rtol=1e-5)
    assert history["loss"][0] == pytest.approx(sum(losses_by_hand), rel=1e-5)


def test_a_scaled_loss_is_penalised_as_much():
    plain, scaled = network("cpu"), network("cpu")
    plain.fit(X, Y, epochs=2, optimizer=optim.sgd(0.01), penalty=l2)
    scaled.fit(X, Y, epochs=2, optimizer=optim.dynamic_loss_scale(optim.sgd(0.01)), penalty=l2)
    np.testing.assert_allclose(plain.params[0]["weight"], scaled.params[0]["weight"], rtol=1e-5)


def test_what_is_no_function():
    with pytest.raises(TypeError, match=r"penalty must be a function of the parameters .* got float"):
        network("cpu").fit(X, Y, penalty=0.1)
