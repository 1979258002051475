"""Functions of one array, element by element; what ONNX lacks is made of what it has."""

from __future__ import annotations

from math import log, pi
from typing import Any

from portnn.export._graph import Graph
from portnn.export._tables import Table, Translation, same, unary
from portnn.export._tensors import Tensor

__all__ = ["TABLE"]


def _rounding(op: str) -> Translation:
    """Of integers nothing."""

    def translate(graph: Graph, y: Tensor, x: Tensor, /) -> str:
        return graph.add(op, graph.of(x)) if x.dtype.startswith("float") else graph.of(x)

    return translate


def _trunc(graph: Graph, y: Tensor, x: Tensor, /) -> str:
    if not x.dtype.startswith("float"):
        return graph.of(x)
    name = graph.of(x)
    return graph.add("Mul", graph.add("Sign", name), graph.add("Floor", graph.add("Abs", name)))


def _square(graph: Graph, y: Tensor, x: Any, /) -> str:
    name = graph.of(x, y.dtype)
    return graph.add("Mul", name, name)


def _expm1(graph: Graph, y: Tensor, x: Any, /) -> str:
    """``tanh(x / 2) (exp(x) + 1)``: no difference of numbers near one."""
    name = graph.of(x, y.dtype)
    half = graph.add("Tanh", graph.add("Mul", name, graph.number(0.5, y.dtype)))
    return graph.add("Mul", half, graph.add("Add", graph.add("Exp", name), graph.number(1.0, y.dtype)))


def _log1p(graph: Graph, y: Tensor, x: Any, /) -> str:
    return log1p(graph, graph.of(x, y.dtype), y.dtype)


def log1p(graph: Graph, name: str, dtype: str) -> str:
    """With u = 1 + x rounded, ``log(u) x / (u - 1)``, and x where u is one.

    Goldberg, What every computer scientist should know about floating-point arithmetic (1991), theorem 4.
    """
    one = graph.number(1.0, dtype)
    u = graph.add("Add", name, one)
    plain = graph.add("Log", u)
    corrected = graph.add("Div", graph.add("Mul", plain, name), graph.add("Sub", u, one))
    infinite = graph.add("IsInf", name, dtype="bool")
    large = graph.add("Where", infinite, plain, corrected, dtype=dtype)
    return graph.add("Where", graph.add("Equal", u, one, dtype="bool"), name, large, dtype=dtype)


def _logarithm(base: float) -> Translation:
    def translate(graph: Graph, y: Tensor, x: Any, /) -> str:
        return graph.add(
            "Mul", graph.add("Log", graph.of(x, y.dtype)), graph.number(1.0 / log(base), y.dtype)
        )

    return translate


def _logaddexp(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
    """``max(a, b) + log(1 + exp(-|a - b|))``; of equal infinities the difference counts as zero."""
    a, b = graph.of(x1, y.dtype), graph.of(x2, y.dtype)
    same_ones = graph.add("Equal", a, b, dtype="bool")
    apart = graph.add("Where", same_ones, graph.number(0.0, y.dtype), graph.add("Sub", a, b), dtype=y.dtype)
    small = graph.add("Exp", graph.add("Neg", graph.add("Abs", apart)))
    return graph.add("Add", graph.add("Max", a, b), log1p(graph, small, y.dtype))


def _hypot(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
    """``s sqrt((a / s)² + (b / s)²)`` with the larger one for s, unless that is zero or infinite."""
    a, b = (graph.add("Abs", graph.of(x, y.dtype)) for x in (x1, x2))
    one, large = graph.number(1.0, y.dtype), graph.add("Max", a, b)
    useful = graph.add("Less", graph.number(0.0, y.dtype), large, dtype="bool")
    finite = graph.add("Not", graph.add("IsInf", large, dtype="bool"))
    s = graph.add("Where", graph.add("And", useful, finite), large, one, dtype=y.dtype)
    squares = [graph.add("Mul", q, q) for q in (graph.add("Div", side, s) for side in (a, b))]
    return graph.add("Mul", s, graph.add("Sqrt", graph.add("Add", *squares)))


def _atan2(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
    """``atan(a / b)``, and on the left half a half turn more; of two zeros zero."""
    a, b, zero = graph.of(x1, y.dtype), graph.of(x2, y.dtype), graph.number(0.0, y.dtype)
    nothing = [graph.add("Equal", side, zero, dtype="bool") for side in (a, b)]
    right = graph.add(
        "Where", graph.add("And", *nothing), zero, graph.add("Atan", graph.add("Div", a, b)), dtype=y.dtype
    )
    half = [graph.number(turn, y.dtype) for turn in (-pi, pi)]
    turn = graph.add("Where", graph.add("Less", a, zero, dtype="bool"), *half, dtype=y.dtype)
    left = graph.add("Less", b, zero, dtype="bool")
    return graph.add("Add", right, graph.add("Where", left, turn, zero, dtype=y.dtype))


def _reciprocal(graph: Graph, y: Tensor, x: Any, /) -> str:
    return graph.add("Div", graph.number(1, y.dtype), graph.of(x, y.dtype))


_DIRECT = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "cos": "Cos", "cosh": "Cosh", "exp": "Exp", "log": "Log", "sign": "Sign", "sin": "Sin",
    "sinh": "Sinh", "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip

TABLE: Table = {
    **{name: unary(op) for name, op in _DIRECT.items()},
    "asarray": same,
    "astype": same,
    "atan2": _atan2,
    "ceil": _rounding("Ceil"),
    "expm1": _expm1,
    "floor": _rounding("Floor"),
    "hypot": _hypot,
    "log10": _logarithm(10.0),
    "log1p": _log1p,
    "log2": _logarithm(2.0),
    "logaddexp": _logaddexp,
    "reciprocal": _reciprocal,
    "round": _rounding("Round"),
    "square": _square,
    "trunc": _trunc,
}
