"""Arithmetic of two arrays or numbers, with the dtypes of the standard."""

from __future__ import annotations

from typing import Any

from portnn.export._graph import Graph
from portnn.export._tables import Table, Translation, broad, same, unary
from portnn.export._tensors import Tensor

__all__ = ["TABLE"]


def _binary(op: str) -> Translation:
    def translate(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
        dtype = broad(y.dtype)
        return graph.add(op, graph.of(x1, dtype), graph.of(x2, dtype))

    return translate


def _is_floating(y: Tensor) -> bool:
    return y.dtype.startswith(("float", "bfloat"))


def _floor_divide(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
    """Of integers ``(a - a mod b) / b``: ONNX rounds their quotient towards zero."""
    a, b = graph.of(x1, broad(y.dtype)), graph.of(x2, broad(y.dtype))
    if _is_floating(y):
        return graph.add("Floor", graph.add("Div", a, b))
    return graph.add("Div", graph.add("Sub", a, graph.add("Mod", a, b, fmod=0)), b)


def _remainder(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
    """With the sign of the divisor; of floats ONNX has only C's, which has that of the dividend."""
    a, b = graph.of(x1, broad(y.dtype)), graph.of(x2, broad(y.dtype))
    if not _is_floating(y):
        return graph.add("Mod", a, b, fmod=0)
    zero = graph.number(0.0, y.dtype)
    r = graph.add("Mod", a, b, fmod=1)
    apart = graph.add(
        "Less", graph.add("Mul", graph.add("Sign", r), graph.add("Sign", b)), zero, dtype="bool"
    )
    return graph.add("Where", apart, graph.add("Add", r, b), r, dtype=y.dtype)


def _clip(graph: Graph, y: Tensor, x: Any, /, min: Any = None, max: Any = None) -> str:
    """Of limits that are numbers one operator, which takes no arrays for them."""
    dtype = broad(y.dtype)
    name = graph.of(x, dtype)
    if not isinstance(min, Tensor) and not isinstance(max, Tensor):
        return graph.add("Clip", name, *["" if end is None else graph.of(end, dtype) for end in (min, max)])
    for op, limit in (("Max", min), ("Min", max)):
        if limit is not None:
            name = graph.add(op, name, graph.of(limit, dtype))
    return name


TABLE: Table = {
    "add": _binary("Add"),
    "clip": _clip,
    "divide": _binary("Div"),
    "floor_divide": _floor_divide,
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "multiply": _binary("Mul"),
    "negative": unary("Neg"),
    "positive": same,
    "pow": _binary("Pow"),
    "remainder": _remainder,
    "subtract": _binary("Sub"),
}
