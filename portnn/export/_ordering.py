"""Elements in order."""

from __future__ import annotations

from portnn.backend import get_backend
from portnn.export._graph import Graph
from portnn.export._tables import Table, Translation, broad
from portnn.export._tensors import Tensor

__all__ = ["TABLE"]


def _sorted(output: int) -> Translation:
    """All of the largest, or least, along an axis: of equal elements `TopK` keeps the order."""

    def translate(
        graph: Graph,
        y: Tensor,
        x: Tensor,
        /,
        *,
        axis: int = -1,
        descending: bool = False,
        stable: bool = True,
    ) -> str:
        axis %= len(x.shape)
        name = graph.of(x, broad(x.dtype))
        given = (name, graph.ints([x.shape[axis]]))
        types = (broad(x.dtype), "int64")
        return graph.several("TopK", given, types, axis=axis, largest=int(descending), sorted=1)[output]

    return translate


def _searchsorted(
    graph: Graph, y: Tensor, x1: Tensor, x2: Tensor, /, *, side: str = "left", sorter: Tensor | None = None
) -> str:
    """How many elements are less, or not greater: all are compared, since ONNX has no search."""
    xp = get_backend("numpy").xp
    dtype = broad(str(xp.result_type(getattr(xp, x1.dtype), getattr(xp, x2.dtype))))
    row, values = graph.of(x1, dtype), graph.of(x2, dtype)
    if sorter is not None:
        row = graph.add("Gather", row, graph.of(sorter, "int64"), axis=0)
    column = graph.add("Unsqueeze", values, graph.ints([len(x2.shape)]))
    before = graph.add("Less" if side == "left" else "LessOrEqual", row, column, dtype="bool")
    return graph.add("ReduceSum", graph.cast(before, "int64"), graph.ints([len(x2.shape)]), keepdims=0)


TABLE: Table = {"argsort": _sorted(1), "searchsorted": _searchsorted, "sort": _sorted(0)}
