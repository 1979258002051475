"""Layers for sequences, and the steps that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import nn, ops, random, tree
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
EMBEDDED = fixed([[2, 0], [1, 2]], "int64")


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


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: Any = True, scale: float | None = None
) -> np.ndarray:
    """Softmax over the allowed keys, row by row."""
    scores = q @ np.swapaxes(k, -1, -2) * (1 / np.sqrt(q.shape[-1]) if scale is None else scale)
    p = np.exp(scores) * mask
    return p / np.maximum(p.sum(-1, keepdims=True), 1e-30) @ v


def rotate(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Pairs as complex numbers, turned by complex numbers."""
    half = x.shape[-1] // 2
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(
        1j * positions[:, None] * 10000.0 ** (-np.arange(half) / half)
    )
    return np.concatenate([turned.real, turned.imag], -1)


PAST = np.tri(3, 2, dtype=bool)
ALLOWED = fixed([[[True, False], [False, False], [True, True]]], "bool")
Q, K, V = normal(1, 3, 2), normal(1, 2, 2), normal(1, 2, 1)
ATTENTION = [
    Row("ops.scaled_dot_product_attention", ops.scaled_dot_product_attention, (Q, K, V), attention),
    Row("ops.scaled_dot_product_attention", lambda q, k, v, m: ops.scaled_dot_product_attention(q, k, v, m, causal=True, scale=0.3),
        (Q, normal(2, 2), V, ALLOWED), lambda q, k, v, m: attention(q, k, v, m & PAST, 0.3), case="masked"),
    Row("ops.attention_weights", lambda q, k: ops.attention_weights(q, k, causal=True), (Q, K),
        lambda q, k: attention(q, k, np.eye(2), PAST)),
    Row("ops.rotary", ops.rotary, (normal(2, 2, 4), fixed([0, 3], "int64")), rotate),
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


def heads(p: Any, x: np.ndarray, memory: np.ndarray, mask: Any = True) -> np.ndarray:
    """Two heads of one feature each, one after the other."""
    q, k, v = (
        a @ p[name]["weight"] + p[name].get("bias", 0.0)
        for name, a in zip(p, (x, memory, memory), strict=False)
    )
    y = [attention(q[..., i : i + 1], k[..., i : i + 1], v[..., i : i + 1], mask) for i in range(2)]
    return np.concatenate(y, -1) @ p["output"]["weight"] + p["output"].get("bias", 0.0)


def projections(n: int, width: int) -> Callable[[np.random.Generator], Any]:
    """Parameters of multi-head attention; no biases, since that of the keys has a gradient of zero."""
    makers = {name: tree_of(weight=normal(w, n)) for name, w in
              {"query": n, "key": width, "value": width, "output": n}.items()}  # fmt: skip
    return lambda rng: {name: make(rng) for name, make in makers.items()}


REAL = fixed([[True, False, True]], "bool")
RARE = 2.0**-20  # so that nothing is dropped here, and the rest grows


def positions(x: np.ndarray) -> np.ndarray:
    """Sines and cosines in turn."""
    at = np.arange(x.shape[-2])[:, None] / 10000.0 ** (np.arange(0, x.shape[-1], 2) / x.shape[-1])
    return x + np.stack([np.sin(at), np.cos(at)], -1).reshape(x.shape[-2:])


def lengths_of(x: Any, *lengths: int) -> Any:
    """Integers beside an array that may be traced."""
    return ops.asarray(list(lengths), dtype="int64", like=getattr(x, "plain", x))


LAYERS = [
    layer("Embedding", nn.Embedding(3, 2), tree_of(weight=normal(3, 2)), EMBEDDED, lambda p, i: p["weight"][i]),
    Row("nn.RNN", lambda p, x: nn.RNN(2, 1, returns="last").apply(p, x), (parameters(1, 2), between(-0.5, 0.5, 2, 2, 2)),
        lambda p, x: through(rnn_step, p[0], x, (2, 2))[1][0]),
    Row("nn.GRU", lambda p, x: nn.GRU(2, 1, bidirectional=True, returns="both").apply(p, x, lengths=lengths_of(x, 3, 1, 0)),
        (parameters(3, 2, 2), normal(3, 3, 2)), gru_oracle),
    layer("MultiHeadAttention", nn.MultiHeadAttention(2, 2, bias=False), projections(2, 2), normal(1, 3, 2),
          lambda p, x: heads(p, x, x)),
    Row("nn.MultiHeadAttention", lambda p, x, m, real: nn.MultiHeadAttention(2, 2, memory_features=1, bias=False).apply(p, x, m, key_mask=real),
        (projections(2, 1), normal(1, 2, 2), normal(1, 3, 1), REAL), lambda p, x, m, real: heads(p, x, m, real[:, None]),
        case="cross"),
    Row("nn.MultiHeadAttention", lambda p, x: nn.MultiHeadAttention(2, 2, bias=False, dropout=RARE).apply(
            p, x, training=True, key=random.key(3, like=x)),
        (projections(2, 2), normal(1, 3, 2)), lambda p, x: heads(p, x, x) / (1.0 - RARE), case="dropout"),
    layer("SinusoidalPositions", nn.SinusoidalPositions(4), tree_of(), normal(1, 2, 4), lambda p, x: positions(x)),
    layer("LSTM", nn.LSTM(2, 1, num_layers=2), parameters(4, 2, 1), normal(1, 2, 2),
          lambda p, x: through(lstm_step, p[1], through(lstm_step, p[0], x, (2,))[0], (2,))[0]),
]  # fmt: skip


def norm(p: Any, x: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1, scaled."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["weight"]


def one_head(p: Any, x: np.ndarray, memory: np.ndarray, mask: Any = True) -> np.ndarray:
    """Attention with weights and without biases."""
    q, k, v = (a @ p[name]["weight"] for name, a in zip(p, (x, memory, memory), strict=False))
    return attention(q, k, v, mask) @ p["output"]["weight"]


def encoder(p: Any, x: np.ndarray, mask: Any = True) -> np.ndarray:
    """A layer with its norms first."""
    x = x + one_head(p["self_attn"], norm(p["norm1"], x), norm(p["norm1"], x), mask)
    return x + np.tanh(norm(p["norm2"], x) @ p["linear1"]["weight"]) @ p["linear2"]["weight"]


def decoder(p: Any, x: np.ndarray, memory: np.ndarray, real: Any = True) -> np.ndarray:
    """A layer with its norms last; attention to the past only."""
    x = norm(p["norm1"], x + one_head(p["self_attn"], x, x, np.tri(x.shape[1], dtype=bool)))
    x = norm(p["norm2"], x + one_head(p["multihead_attn"], x, memory, real))
    return norm(p["norm3"], x + np.tanh(x @ p["linear1"]["weight"]) @ p["linear2"]["weight"])


def drawn(of: Any) -> Callable[[np.random.Generator], Any]:
    """Parameters of a layer's own shapes."""
    return lambda rng: tree.map(lambda a: rng.normal(size=a.shape) / 2, of.init(np.random.default_rng(0)))


BLOCK = {"activation": nn.tanh, "bias": False}
ENCODER = nn.TransformerEncoderLayer(3, 1, 2, **BLOCK)
DECODER = nn.TransformerDecoderLayer(3, 1, 2, norm_first=False, **BLOCK)
STACKS = nn.TransformerEncoder(ENCODER, 1), nn.TransformerDecoder(DECODER, 1)
Y, MEMORY = normal(1, 2, 3), normal(1, 3, 3)
BLOCKS = [
    Row("nn.TransformerEncoderLayer", lambda p, x: ENCODER.apply(p, x, causal=True), (drawn(ENCODER), Y),
        lambda p, x: encoder(p, x, np.tri(2, dtype=bool))),
    Row("nn.TransformerDecoderLayer", lambda p, x, m, real: DECODER.apply(p, x, m, memory_mask=real),
        (drawn(DECODER), Y, MEMORY, REAL), lambda p, x, m, real: decoder(p, x, m, real[:, None])),
    Row("nn.TransformerEncoder", STACKS[0].apply, (drawn(STACKS[0]), Y),
        lambda p, x: norm(p["norm"], encoder(p["layers"][0], x))),
    Row("nn.TransformerDecoder", STACKS[1].apply, (drawn(STACKS[1]), Y, MEMORY),
        lambda p, x, m: decoder(p["layers"][0], x, m)),
]  # fmt: skip

ROWS = [*STEPS, *ATTENTION, *LAYERS, *BLOCKS]
