"""One step of the recurrent units: the product with the state, the gates and the new state as one unit each.

What an input brings in, ``x @ weight + bias``, is worked out before, for all steps in one product. `w` is
the weight of the state, H the number of units. Gates stand side by side in PyTorch's order.

Gates are computed as ``σ(x) = (1 + tanh(x / 2)) / 2``: three steps for the seven of `sigmoid`, as exact next
to one, and what is lost near zero is a rounding of the sum that the gate goes into.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from portnn._typing import Array
from portnn.ops._arithmetic import add, maximum, multiply, subtract
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._broadcasting import where
from portnn.ops._comparison import not_equal
from portnn.ops._half import in_float32
from portnn.ops._helpers import zeros_at
from portnn.ops._hyperbolic import tanh
from portnn.ops._joining import concat
from portnn.ops._linear_algebra import matmul, matrix_transpose
from portnn.ops._manipulation import cut
from portnn.ops._options import refuse_complex
from portnn.tracing import check_floating, primitive

__all__ = ["gru_step", "lstm_step", "rnn_step"]

_Pair: TypeAlias = tuple[Array, Array]


def _gate(x: Array) -> Array:
    return tanh(x * 0.5) * 0.5 + 0.5


def _columns(x: Array, first: int, last: int, n: int) -> Array:
    """The parts `first` to `last` of rows of parts of length n."""
    return cut(x, axis=1, start=first * n, stop=last * n)


def _by_product(d: Array, h: Array, w: Array) -> tuple[Array, Array]:
    """The gradients by h and w of ``h @ w``, from that by the product."""
    return matmul(d, matrix_transpose(w)), matmul(matrix_transpose(h), d)


def _check(name: str, x: Array, h: Array, w: Array, parts: int) -> None:
    for array in (x, h, w):
        check_floating(name, array)
    n, width = h.shape[0] if h.shape else -1, h.shape[-1] if h.shape else -1
    wanted = ((n, parts * width), (n, width), (width, parts * width))
    if (tuple(x.shape), tuple(h.shape), tuple(w.shape)) != wanted:
        more = f"{parts} * " if parts > 1 else ""
        raise ValueError(
            f"{name}: expected x (n, {more}features), h (n, features) and weight (features, {more}features), "
            f"got {tuple(x.shape)}, {tuple(h.shape)} and {tuple(w.shape)}"
        )


@primitive
def _rnn_step(x: Array, h: Array, w: Array, /, *, activation: str) -> Array:
    a = add(x, matmul(h, w))
    return tanh(a) if activation == "tanh" else maximum(a, 0.0)


def _rnn_rule(g: Array, y: Array, x: Array, h: Array, w: Array, activation: str) -> list[Array]:
    """d = g f'(x + h w), by the result: tanh' = 1 - y², relu' = [y ≠ 0]."""
    d = multiply(g, 1.0 - multiply(y, y)) if activation == "tanh" else where(not_equal(y, 0.0), g, 0.0)
    return [d, *_by_product(d, h, w)]


_rnn_step.vjp_joint(_rnn_rule)


@in_float32
def rnn_step(x: Array, h: Array, weight: Array, /, *, activation: Literal["tanh", "relu"] = "tanh") -> Array:
    """A step of a simple recurrent network, ``f(x + h @ weight)``.

    Elman, Finding structure in time (1990).

    Args:
        x: what the input brings in, floating-point array of shape (n, features).
        h: the state before, of the same shape.
        weight: array of shape (features, features).
        activation: f, "tanh" or "relu".

    Returns:
        The state after, which is also the output, of shape (n, features).

    Raises:
        TypeError: if an array is not floating-point.
        ValueError: if the shapes do not fit together, or `activation` is another word.

    Example:
        >>> import numpy as np
        >>> x, h = np.asarray([[1.0, -1.0]]), np.asarray([[0.5, 0.0]])
        >>> rnn_step(x, h, np.asarray([[2.0, 0.0], [0.0, 1.0]]), activation="relu").tolist()
        [[2.0, 0.0]]
    """
    _check("rnn_step", x, h, weight, 1)
    if activation not in ("tanh", "relu"):
        raise ValueError(f"rnn_step: activation must be 'tanh' or 'relu', got {activation!r}")
    return _rnn_step(x, h, weight, activation=activation)


# Cho et al., Learning phrase representations using RNN encoder-decoder for statistical machine translation
# (2014), in the variant that resets after the product with the state:
#   r, z = σ(x + h w),   q = h w + b,   m = tanh(x + r q),   y = m + z (h - m)
def _gru_terms(x: Array, h: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Both gates side by side, q and m."""
    n = h.shape[1]
    p = matmul(h, w)
    gates = _gate(add(_columns(x, 0, 2, n), _columns(p, 0, 2, n)))
    q = add(_columns(p, 2, 3, n), b)
    return gates, q, tanh(add(_columns(x, 2, 3, n), multiply(_columns(gates, 0, 1, n), q)))


@primitive
def _gru_step(x: Array, h: Array, w: Array, b: Array, /) -> Array:
    return _gru_step_and_terms(x, h, w, b)[0]


@_gru_step.saves
def _gru_step_and_terms(
    x: Array, h: Array, w: Array, b: Array, /
) -> tuple[Array, tuple[Array, Array, Array]]:
    gates, q, m = _gru_terms(x, h, w, b)
    return add(m, multiply(_columns(gates, 1, 2, h.shape[1]), subtract(h, m))), (gates, q, m)


def _gru_rule(
    g: Array, y: Array, x: Array, h: Array, w: Array, b: Array, saved: tuple[Array, ...] | None = None
) -> list[Array]:
    """With u = g (1 - z)(1 - m²): by x it is [u q r(1-r), g (h-m) z(1-z), u], by q it is u r."""
    gates, q, m = _gru_terms(x, h, w, b) if saved is None else saved
    n = h.shape[1]
    r, z = _columns(gates, 0, 1, n), _columns(gates, 1, 2, n)
    through = multiply(g, z)
    u = multiply(subtract(g, through), 1.0 - multiply(m, m))
    slopes = multiply(gates, 1.0 - gates)
    by_gates = multiply(concat([multiply(u, q), multiply(g, subtract(h, m))], axis=1), slopes)
    by_q = multiply(u, r)
    by_h, by_w = _by_product(concat([by_gates, by_q], axis=1), h, w)
    return [concat([by_gates, u], axis=1), add(through, by_h), by_w, sum_(by_q, axis=0)]


_gru_step.vjp_joint(_gru_rule)


@in_float32
def gru_step(x: Array, h: Array, weight: Array, hidden_bias: Array | None = None, /) -> Array:
    """A step of gated recurrent units; the reset gate acts after the product with the state.

    Cho et al., Learning phrase representations using RNN encoder-decoder (2014). The gates stand in the order
    reset, update, new.

    Args:
        x: what the input brings in, bias and all, floating-point array of shape (n, 3 features).
        h: the state before, of shape (n, features).
        weight: array of shape (features, 3 features).
        hidden_bias: array of shape (features,), added to the part of ``h @ weight`` that is reset; None
            for zeros. (A bias of the other parts can as well be in `x`.)

    Returns:
        The state after, which is also the output, of shape (n, features).

    Raises:
        TypeError: if an array is not floating-point.
        ValueError: if the shapes do not fit together.

    Example:
        >>> import numpy as np
        >>> gru_step(np.zeros((1, 3)), np.ones((1, 1)), np.zeros((1, 3))).tolist()
        [[0.5]]
    """
    _check("gru_step", x, h, weight, 3)
    refuse_complex("gru_step", hidden_bias=hidden_bias)
    if hidden_bias is None:
        hidden_bias = zeros_at(weight, weight.shape[:1])
    elif tuple(hidden_bias.shape) != (h.shape[1],):
        raise ValueError(
            f"gru_step: expected a hidden_bias of shape ({h.shape[1]},), got {tuple(hidden_bias.shape)}"
        )
    return _gru_step(x, h, weight, hidden_bias)


# Hochreiter and Schmidhuber, Long short-term memory (1997), with the forget gate of Gers et al. (2000):
#   i, f, o = σ(x + h w),   m = tanh(x + h w),   e = f c + i m,   y = o tanh(e)
def _lstm_terms(x: Array, h: Array, c: Array, w: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The gates i and f side by side, m, o, the new cell e, and its tanh."""
    n = h.shape[1]
    a = add(x, matmul(h, w))
    gates, m, o = _gate(_columns(a, 0, 2, n)), tanh(_columns(a, 2, 3, n)), _gate(_columns(a, 3, 4, n))
    e = add(multiply(_columns(gates, 1, 2, n), c), multiply(_columns(gates, 0, 1, n), m))
    return gates, m, o, e, tanh(e)


@primitive
def _lstm_step(x: Array, h: Array, c: Array, w: Array, /) -> _Pair:
    return _lstm_step_and_terms(x, h, c, w)[0]


@_lstm_step.saves
def _lstm_step_and_terms(
    x: Array, h: Array, c: Array, w: Array, /
) -> tuple[_Pair, tuple[Array, Array, Array, Array]]:
    gates, m, o, e, t = _lstm_terms(x, h, c, w)
    return (multiply(o, t), e), (gates, m, o, t)


def _lstm_rule(
    g: _Pair, y: _Pair, x: Array, h: Array, c: Array, w: Array, saved: tuple[Array, ...] | None = None
) -> list[Array]:
    """With u = g_e + g_y o (1 - tanh²e): by x [u m i(1-i), u c f(1-f), u i (1-m²), g_y tanh(e) o(1-o)]."""
    if saved is None:
        gates, m, o, _, t = _lstm_terms(x, h, c, w)
    else:
        gates, m, o, t = saved
    n = h.shape[1]
    by_y, by_e = g
    i, f = _columns(gates, 0, 1, n), _columns(gates, 1, 2, n)
    u = add(by_e, multiply(multiply(by_y, o), 1.0 - multiply(t, t)))
    by_gates = multiply(concat([multiply(u, m), multiply(u, c)], axis=1), multiply(gates, 1.0 - gates))
    by_m = multiply(multiply(u, i), 1.0 - multiply(m, m))
    by_o = multiply(multiply(by_y, t), multiply(o, 1.0 - o))
    by_x = concat([by_gates, by_m, by_o], axis=1)
    by_h, by_w = _by_product(by_x, h, w)
    return [by_x, by_h, multiply(u, f), by_w]


_lstm_step.vjp_joint(_lstm_rule)


@in_float32
def lstm_step(x: Array, h: Array, c: Array, weight: Array, /) -> tuple[Array, Array]:
    """A step of long short-term memory.

    Hochreiter and Schmidhuber, Long short-term memory (1997); Gers, Schmidhuber and Cummins, Learning to
    forget (2000). The gates stand in the order input, forget, cell, output.

    Args:
        x: what the input brings in, bias and all, floating-point array of shape (n, 4 features).
        h: the output before, of shape (n, features).
        c: the cell before, of shape (n, features).
        weight: array of shape (features, 4 features).

    Returns:
        The output and the cell after, each of shape (n, features).

    Raises:
        TypeError: if an array is not floating-point.
        ValueError: if the shapes do not fit together.

    Example:
        >>> import numpy as np
        >>> one = np.ones((1, 1))
        >>> [a.round(4).tolist() for a in lstm_step(np.zeros((1, 4)), one, one, np.zeros((1, 4)))]
        [[[0.2311]], [[0.5]]]
    """
    _check("lstm_step", x, h, weight, 4)
    refuse_complex("lstm_step", c=c)
    if tuple(c.shape) != tuple(h.shape):
        raise ValueError(f"lstm_step: expected a cell of shape {tuple(h.shape)}, got {tuple(c.shape)}")
    y: tuple[Array, Array] = _lstm_step(x, h, c, weight)
    return y
