"""Layers for sequences, and the steps that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import nn, ops
from tests.table.engine import Row, between, fixed, normal
from tests.table.rows_nn import layer, tree_of


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def rnn_step(x: np.ndarray, h: np.ndarray, w: np.ndarray, b: Any = 0.0) -> np.ndarray:
    """tanh(x + h w)."""
    return np.tanh(x + h @ w)


def gru_step(x: np.ndarray, h: np.ndarray, w: np.ndarray, b: Any = 0.0) -> np.ndarray:
    """Both gates by the logistic function, the new state as a mean of two."""
    xr, xz, xn = np.split(x, 3, -1)
    wr, wz, wn = np.split(w, 3, -1)
    z = sigmoid(xz + h @ wz)
    return (1 - z) * np.tanh(xn + sigmoid(xr + h @ wr) * (h @ wn + b)) + z * h


def lstm_step(x: np.ndarray, h: np.ndarray, c: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Input, forget, cell, output."""
    i, f, m, o = np.split(x + h @ w, 4, -1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(m)
    return sigmoid(o) * np.tanh(c), c


X, H = normal(2, 2), normal(2, 2)
EMBEDDED = fixed([[2, 0], [-2, 2]], "int64")


def wide(rng: np.random.Generator) -> np.ndarray:
    """A table of more rows than the product with one-hot rows serves."""
    return np.asarray(rng.normal(size=(260, 1)))


STEPS = [
    Row("ops.embedding", ops.embedding, (normal(3, 2), EMBEDDED), lambda w, i: w[i]),
    Row("ops.embedding", lambda w, i: ops.embedding(w, i), (wide, fixed([7, 259, -1, 7], "int64")),
        lambda w, i: w[i], case="many rows"),
    Row("ops.rnn_step", ops.rnn_step, (X, H, normal(2, 2)), rnn_step),
    Row("ops.rnn_step", lambda x, h: ops.rnn_step(x, h, ops.zeros((2, 2), dtype=x.dtype, like=x), activation="relu"),
        (fixed([[1.0, -1.0]]), fixed([[0.5, 0.5]])), lambda x, h: np.maximum(x, 0.0), case="relu"),
    Row("ops.gru_step", ops.gru_step, (normal(2, 6), H, normal(2, 6), normal(2)), gru_step),
    Row("ops.lstm_step", ops.lstm_step, (normal(2, 8), H, X, normal(2, 8)), lstm_step),
]  # fmt: skip


def parameters(parts: int, *widths: int) -> Callable[[np.random.Generator], Any]:
    """Those of recurrent layers of one unit, each with inputs of a width."""
    shapes = [
        {"input": (n, parts), "hidden": (1, parts), "bias": (parts,), "hidden_bias": (parts,)} for n in widths
    ]
    # Small, so that nothing saturates: 1 - tanh² would lose digits in float32.
    makers = [tree_of(**{name: between(-0.5, 0.5, *shape) for name, shape in s.items()}) for s in shapes]
    return lambda rng: tuple(make(rng) for make in makers)


def through(step: Callable[..., Any], p: Any, x: np.ndarray, lengths: Any, backwards: bool = False) -> Any:
    """Each sequence by itself, in its own length: outputs and last states."""
    y, last = np.zeros((*x.shape[:2], 1)), []
    for i, n in enumerate(lengths):
        state: Any = (np.zeros((1, 1)),) * (2 if step is lstm_step else 1)
        for t in range(n)[::-1] if backwards else range(n):
            b = p["hidden_bias"]
            more = (b[2:],) if step is gru_step else ()
            new = step(
                x[i, t][None] @ p["input"] + p["bias"] + (b * [1, 1, 0] if more else b),
                *state,
                p["hidden"],
                *more,
            )
            state = new if isinstance(new, tuple) else (new,)
            y[i, t] = state[0]
        last.append(state)
    return y, tuple(np.concatenate(parts) for parts in zip(*last, strict=True))


def gru_oracle(p: Any, x: np.ndarray) -> Any:
    """Two directions; sequences of 3, 1 and 0 steps."""
    ahead, h = through(gru_step, p[0], x, (3, 1, 0))
    back, k = through(gru_step, p[1], x, (3, 1, 0), backwards=True)
    return np.concatenate([ahead, back], -1), (*h, *k)


def lengths_of(x: Any, *lengths: int) -> Any:
    """Integers beside an array that may be traced."""
    return ops.asarray(list(lengths), dtype="int64", like=getattr(x, "plain", x))


LAYERS = [
    layer("Embedding", nn.Embedding(3, 2), tree_of(weight=normal(3, 2)), EMBEDDED, lambda p, i: p["weight"][i]),
    Row("nn.RNN", lambda p, x: nn.RNN(2, 1, returns="last").apply(p, x), (parameters(1, 2), between(-0.5, 0.5, 2, 2, 2)),
        lambda p, x: through(rnn_step, p[0], x, (2, 2))[1][0]),
    Row("nn.GRU", lambda p, x: nn.GRU(2, 1, bidirectional=True, returns="both").apply(p, x, lengths=lengths_of(x, 3, 1, 0)),
        (parameters(3, 2, 2), normal(3, 3, 2)), gru_oracle),
    layer("LSTM", nn.LSTM(2, 1, num_layers=2), parameters(4, 2, 1), normal(1, 2, 2),
          lambda p, x: through(lstm_step, p[1], through(lstm_step, p[0], x, (2,))[0], (2,))[0]),
]  # fmt: skip

ROWS = [*STEPS, *LAYERS]
