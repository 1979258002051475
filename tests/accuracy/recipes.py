"""The article's network on real digits, as the accuracy tests train it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from examples.digits import make_loss
from portnn.data import load_mnist
from tests.backends import BackendUnderTest

DATA = Path(__file__).parents[2] / "examples" / "data" / "mnist"


@cache
def digits(split: str, n: int, dtype: str = "float32") -> tuple[Any, Any]:
    """The first `n` images as rows of numbers from 0 to 1, and their labels."""
    images, labels = load_mnist(DATA, split)
    x = images[:n].reshape(-1, 784).astype(dtype) / np.asarray(255, dtype=dtype)
    return x, labels[:n]


def network(
    backend: BackendUnderTest, *, seed: int = 0, output: str = "softmax", dtype: str = "float32"
) -> pn.Network:
    """784-10-10 with ReLU; with a read-only backend its parameters are read-only as well."""
    loss = make_loss(output, 0.0)
    layers = [pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)]
    net = pn.Network(layers, loss=loss, backend=backend.backend, seed=seed, dtype=dtype)
    net.params = pn.tree.map(lambda p: backend.asarray(backend.to_numpy(p)), net.params)
    return net


def train(
    net: pn.Network, backend: BackendUnderTest, x: Any, y: Any, *, epochs: int, batch_size: int | None
) -> pn.History:
    """Plain gradient descent with the article's learning rate."""
    x, y = backend.asarray(x), backend.asarray(y)
    optimizer = pn.optim.sgd(0.1)
    return net.fit(x, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, progress=False)
