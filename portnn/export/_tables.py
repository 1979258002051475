"""What a table of translations is, and how translations are made of shorter ones.

A translation takes the graph, the `Tensor` (or tensors) of the result and the arguments of the function that
it translates, under the names that the standard gives them. It adds operators and returns the name of the
result, which is then converted to its dtype where it has another. NotImplemented says that it does not serve
these arguments: a primitive is then translated by its calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

from portnn.export._graph import Graph
from portnn.export._tensors import Tensor

__all__ = ["Table", "Translation", "broad", "narrow", "same", "unary"]

Translation: TypeAlias = Callable[..., Any]
Table: TypeAlias = dict[str, Translation]

# Runtimes compute with these; with smaller integers they only store.
_COMPUTED = {"int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64"}


def broad(dtype: str) -> str:
    """The dtype to compute in: for integers of few bits one of more, from which the result is cut again."""
    return _COMPUTED.get(dtype, dtype)


def unary(op: str, **attributes: Any) -> Translation:
    """An operator of one argument."""

    def translate(graph: Graph, y: Tensor, x: Any, /) -> str:
        return graph.add(op, graph.of(x, broad(y.dtype)), **attributes)

    return translate


def same(graph: Graph, y: Tensor, x: Any, /, *_: Any, **__: Any) -> str:
    """The argument itself, in the dtype of the result."""
    return graph.of(x, y.dtype)


def narrow(translation: Translation) -> Translation:
    """For float32 alone: runtimes on processors have no float64 kernel of the operator, but of its parts."""

    @wraps(translation)
    def translate(graph: Graph, y: Any, *args: Any, **options: Any) -> Any:
        if y.dtype == "float64":
            return NotImplemented
        return translation(graph, y, *args, **options)

    return translate
