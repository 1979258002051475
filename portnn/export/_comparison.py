"""Comparisons, logic and choices."""

from __future__ import annotations

from typing import Any

from portnn.backend import get_backend
from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._tables import Table, Translation, broad
from portnn.export._tensors import Size, Tensor

__all__ = ["TABLE"]


def _common(*items: Any) -> str:
    """The dtype in which arguments are compared: that of the arrays, whatever numbers stand beside them."""
    xp = get_backend("numpy").xp
    kinds = [
        getattr(xp, i.dtype) if isinstance(i, Tensor) else 0 if isinstance(i, Size) else i for i in items
    ]
    return broad(str(xp.result_type(*kinds)))


def _comparison(op: str) -> Translation:
    def translate(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
        dtype = _common(x1, x2)
        if dtype == "bool" and op != "Equal":
            dtype = "int32"
        return graph.add(op, graph.of(x1, dtype), graph.of(x2, dtype), dtype="bool")

    return translate


def _not_equal(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
    return graph.add("Not", TABLE["equal"](graph, y, x1, x2))


def _logical(op: str) -> Translation:
    def translate(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
        return graph.add(op, graph.of(x1, "bool"), graph.of(x2, "bool"))

    return translate


def _bitwise(logical: str, op: str) -> Translation:
    """Of booleans logic, of integers bit by bit."""

    def translate(graph: Graph, y: Tensor, *args: Any) -> str:
        names = [graph.of(arg, y.dtype) for arg in args]
        return graph.add(logical if y.dtype == "bool" else op, *names)

    return translate


def _shift(direction: str) -> Translation:
    def translate(graph: Graph, y: Tensor, x1: Any, x2: Any, /) -> str:
        if not y.dtype.startswith("uint"):
            raise ExportError("ONNX shifts the bits of unsigned integers only")
        return graph.add("BitShift", graph.of(x1, y.dtype), graph.of(x2, y.dtype), direction=direction)

    return translate


def _where(graph: Graph, y: Tensor, condition: Any, x1: Any, x2: Any, /) -> str:
    dtype = broad(y.dtype)
    chosen = graph.of(x1, dtype), graph.of(x2, dtype)
    return graph.add("Where", graph.of(condition, "bool"), *chosen, dtype=dtype)


def _test(op: str) -> Translation:
    def translate(graph: Graph, y: Tensor, x: Tensor, /) -> str:
        return graph.add(op, graph.of(x), dtype="bool")

    return translate


def _isfinite(graph: Graph, y: Tensor, x: Tensor, /) -> str:
    odd = graph.add("IsNaN", graph.of(x), dtype="bool"), graph.add("IsInf", graph.of(x), dtype="bool")
    return graph.add("Not", graph.add("Or", *odd))


TABLE: Table = {
    "bitwise_and": _bitwise("And", "BitwiseAnd"),
    "bitwise_invert": _bitwise("Not", "BitwiseNot"),
    "bitwise_left_shift": _shift("LEFT"),
    "bitwise_or": _bitwise("Or", "BitwiseOr"),
    "bitwise_right_shift": _shift("RIGHT"),
    "bitwise_xor": _bitwise("Xor", "BitwiseXor"),
    "equal": _comparison("Equal"),
    "greater": _comparison("Greater"),
    "greater_equal": _comparison("GreaterOrEqual"),
    "isfinite": _isfinite,
    "isinf": _test("IsInf"),
    "isnan": _test("IsNaN"),
    "less": _comparison("Less"),
    "less_equal": _comparison("LessOrEqual"),
    "logical_and": _logical("And"),
    "logical_not": lambda graph, y, x: graph.add("Not", graph.of(x, "bool")),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "not_equal": _not_equal,
    "where": _where,
}
