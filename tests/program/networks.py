"""Networks and training steps that programs are made of, and the plain replay of a program's calls."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from portnn import losses, ops, optim, tree
from portnn.autodiff import value_and_grad
from portnn.tracing import Value, map_nested


def layers(*sizes: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """Parameters of linear layers."""
    rng = np.random.default_rng(seed)
    return [
        {"w": rng.normal(size=(m, n)).astype("float32") / 4, "b": rng.normal(size=n).astype("float32")}
        for m, n in pairwise(sizes)
    ]


def predict(params: list[dict[str, Any]], x: Any) -> Any:
    """A stack of linear layers with tanh between them."""
    for p in params[:-1]:
        x = ops.tanh(ops.linear(x, p["w"], p["b"]))
    return ops.linear(x, params[-1]["w"], params[-1]["b"])


def loss(params: Any, x: Any, labels: Any) -> Any:
    """Mean cross-entropy."""
    return losses.softmax_cross_entropy(predict(params, x), labels)


ADAM = optim.adam(0.01)


def step(params: Any, state: Any, x: Any, labels: Any) -> Any:
    """Forward, backward and Adam."""
    value, grads = value_and_grad(loss)(params, x, labels)
    updates, state = ADAM.update(grads, state, params)
    return {"loss": value, "params": optim.apply_updates(params, updates), "state": state}


def step_arguments() -> tuple[Any, ...]:
    """Arguments of `step` on NumPy: 6 samples, 5 features, 3 classes."""
    rng = np.random.default_rng(1)
    params = layers(5, 4, 3)
    labels = rng.integers(0, 3, size=6).astype("int32")
    return params, ADAM.init(params), rng.normal(size=(6, 5)).astype("float32"), labels


def replay(program: Any, args: tuple[Any, ...]) -> Any:
    """The result of a program's calls, one after the other, with the very functions that were called."""
    arrays = [x for x in tree.leaves(args) if isinstance(x, np.ndarray | np.generic)]
    known = {id(value): x for value, x in zip(program.inputs, arrays, strict=True)}

    def find(item: Any) -> Any:
        if type(item) is not Value:
            return item
        return known[id(item)] if item.constant is None else item.constant

    def bind(described: Any, result: Any) -> None:
        if type(described) is Value:
            known[id(described)] = result
        elif isinstance(described, tuple | list):
            for d, r in zip(described, result, strict=True):
                bind(d, r)

    for call in program.calls:
        bind(call.result, call.function(*map_nested(find, call.args), **map_nested(find, call.options)))
    return tree.map(lambda leaf: map_nested(find, leaf), program.result)


def assert_same_bits(found: Any, expected: Any) -> None:
    """Two trees of NumPy arrays with the same structure, dtypes, shapes and bits."""
    pairs = zip(tree.leaves(found), tree.leaves(expected), strict=True)
    for i, (a, e) in enumerate(pairs):
        if not isinstance(e, np.ndarray | np.generic):
            assert a == e
            continue
        a, e = np.asarray(a), np.asarray(e)
        assert (a.dtype, a.shape) == (e.dtype, e.shape), f"leaf {i}: {a.dtype}{a.shape}, {e.dtype}{e.shape}"
        assert a.tobytes() == e.tobytes(), f"leaf {i}: {a} is not {e}"
