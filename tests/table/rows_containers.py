"""Layers side by side, and layers that share parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from portnn import nn
from tests.table.engine import Row, normal
from tests.table.rows_nn import layer, plain_linear, tree_of

WIDE, SQUARE = tree_of(weight=normal(2, 3), bias=normal(3)), tree_of(weight=normal(2, 2), bias=normal(2))
X = normal(2, 2)


def tower(transposed: bool) -> nn.Sharing:
    """A square layer in two places."""
    square = nn.Linear(2, 2, bias=False)
    return nn.Sharing([nn.Shared("a", square), nn.tanh, nn.Shared("a", square, transposed)])


def plain_tower(transposed: bool) -> Any:
    """tanh(x W) W, or Wᵀ."""

    def oracle(p: Any, x: np.ndarray) -> np.ndarray:
        w = p["shared"]["a"]["weight"]
        return np.tanh(x @ w) @ (w.T if transposed else w)

    return oracle


def tower_params(rng: np.random.Generator) -> Any:
    return {"shared": {"a": {"weight": rng.normal(size=(2, 2))}}, "layer": ({}, {}, {})}


PAIR = nn.Parallel([nn.Linear(2, 3), nn.tanh], paired=True)
LAYERS = [
    layer("Residual", nn.Residual([nn.Linear(2, 3)], nn.Linear(2, 3)),
          lambda rng: {"layer": (WIDE(rng),), "shortcut": WIDE(rng)}, X,
          lambda p, x: plain_linear(p["layer"][0], x) + plain_linear(p["shortcut"], x)),
    layer("Sum", nn.Sum([nn.identity, nn.tanh]), lambda rng: ({}, {}), X, lambda p, x: x + np.tanh(x)),
    layer("Concatenate", nn.Concatenate([nn.identity, nn.Linear(2, 3)]), lambda rng: ({}, WIDE(rng)), X,
          lambda p, x: np.concatenate([x, plain_linear(p[1], x)], 1)),
    Row("nn.Parallel", lambda p, a, b: PAIR.apply(p, a, b), (lambda rng: (WIDE(rng), {}), X, normal(1)),
        lambda p, a, b: (plain_linear(p[0], a), np.tanh(b))),
    layer("Repeat", nn.Repeat([nn.Linear(2, 2), nn.tanh], 2), lambda rng: {"layer": (SQUARE(rng), {})}, X,
          lambda p, x: np.tanh(plain_linear(p["layer"][0], np.tanh(plain_linear(p["layer"][0], x))))),
    layer("Sharing", tower(transposed=False), tower_params, X, plain_tower(transposed=False)),
    layer("Shared", tower(transposed=True), tower_params, X, plain_tower(transposed=True)),
]  # fmt: skip

ROWS = LAYERS
