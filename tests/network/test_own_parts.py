"""Predictions of networks with functions and layers of one's own follow the numbers that those find."""

from __future__ import annotations

import os

import numpy as np
import pytest

from portnn import Network, losses, ops
from portnn.nn import Layer, Linear

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


class Scale(Layer):
    def __init__(self):
        self.factor = 1.0

    def forward(self, params, state, x, *, training, key):
        return x * self.factor, state


SCALE, FOUND = Scale(), {"factor": 1.0}
LINK = losses.Loss(
    losses.squared_error, task=losses.Task.VALUES, link=lambda y: ops.multiply(y, FOUND["factor"])
)
OWN = {
    "a global": ([Linear(3, 2), lambda x: x * FOUND["factor"]], losses.squared_error),
    "a layer": ([Linear(3, 2), SCALE], losses.squared_error),
    "a link": ([Linear(3, 2)], LINK),
    "the environment": ([Linear(3, 2), lambda x: x * float(os.environ["FACTOR"])], losses.squared_error),
}


@pytest.mark.parametrize("name", OWN)
def test_predictions_follow_what_changes(name, monkeypatch):
    layers, loss = OWN[name]
    net, plain = Network(layers, loss=loss), Network([Linear(3, 2)], loss=losses.squared_error)
    for factor in (1.0, 3.0, 0.5):
        monkeypatch.setitem(FOUND, "factor", factor)
        monkeypatch.setattr(SCALE, "factor", factor)
        monkeypatch.setenv("FACTOR", str(factor))
        for x in (X, X[:1]) * 3:
            np.testing.assert_allclose(net.predict(x), plain.predict(x) * factor, rtol=1e-5)


def test_plans_are_kept_while_nothing_changes():
    net = Network([Linear(3, 2), lambda x: x * FOUND["factor"]], loss=losses.squared_error)
    kept = [net._predictions._predictor(net.net_state, "linked") for _ in range(2)]
    assert kept[0] is kept[1]
    FOUND["other"] = 1.0
    assert net._predictions._predictor(net.net_state, "linked") is not kept[0]
    del FOUND["other"]
