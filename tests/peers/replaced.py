"""A plugin of pytest that puts portnn's perceptrons in the place of scikit-learn's."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import sklearn.neural_network

import portnn as pn
from portnn import estimators, ops
from portnn.estimators._methods import L2

CLASSES = ("MLPClassifier", "MLPRegressor")


def loss_and_gradient(self: Any, packed: Any, x: Any, y: Any, weight: None, *buffers: Any) -> Any:
    """scikit-learn's private method that its own test of gradients calls, by portnn's loss and derivative.

    Args:
        self: a fitted perceptron.
        packed: all weights, then all biases.
        x: inputs.
        y: targets, as scikit-learn encodes them.
        weight: none.
        *buffers: where scikit-learn puts what it computes on the way.

    Returns:
        The loss, and its gradient by `packed`.
    """
    assert weight is None
    network, penalty = self.network_, L2(self.alpha)
    places = [i for i, part in enumerate(network.params) if part]
    shapes = [a.shape for a in (*self.coefs_, *self.intercepts_)]
    ends = list(accumulate(int(np.prod(shape)) for shape in shapes))
    arrays = [part.reshape(shape) for part, shape in zip(np.split(packed, ends[:-1]), shapes, strict=True)]
    params, half = list(network.params), len(places)
    for i, w, b in zip(places, arrays[:half], arrays[half:], strict=True):
        params[i] = {"weight": w, "bias": b}

    def objective(params: Any) -> Any:
        loss = network.loss(network.layer.apply(params, x), np.asarray(y, dtype=float))
        return ops.add(loss, penalty(params, len(x)))

    value, slope = pn.value_and_grad(objective)(tuple(params))
    return float(value), np.hstack([np.ravel(slope[i][name]) for name in ("weight", "bias") for i in places])


for name in CLASSES:
    own = getattr(estimators, name)
    own._loss_grad_lbfgs = loss_and_gradient
    setattr(sklearn.neural_network, name, own)
