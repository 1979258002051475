"""Several arrays made one, and one made several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._tables import Table
from portnn.export._tensors import Tensor

__all__ = ["PARTING", "TABLE"]


def _concat(graph: Graph, y: Tensor, arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> str:
    names = [graph.of(x, y.dtype) for x in arrays]
    if axis is None:
        names, axis = [graph.add("Reshape", name, graph.ints([-1])) for name in names], 0
    return graph.add("Concat", *names, axis=axis % len(y.shape))


def _stack(graph: Graph, y: Tensor, arrays: Sequence[Tensor], /, *, axis: int = 0) -> str:
    axis %= len(y.shape)
    names = [graph.add("Unsqueeze", graph.of(x, y.dtype), graph.ints([axis])) for x in arrays]
    return graph.add("Concat", *names, axis=axis)


def _unstack(graph: Graph, y: Sequence[Tensor], x: Tensor, /, *, axis: int = 0) -> list[str]:
    axis %= len(x.shape)
    if axis in x.follows:
        raise ExportError("how many parts there are follows the batch")
    if len(y) < 2:
        return [graph.add("Squeeze", graph.of(x), graph.ints([axis])) for _ in y]
    parts = graph.several("Split", [graph.of(x)], [x.dtype] * len(y), axis=axis, num_outputs=len(y))
    return [graph.add("Squeeze", part, graph.ints([axis])) for part in parts]


def _tile(graph: Graph, y: Tensor, x: Tensor, repetitions: Sequence[int], /) -> str:
    n = max(len(x.shape), len(repetitions))
    shape = [1] * (n - len(x.shape)) + list(x.shape)
    name = graph.of(x) if n == len(x.shape) else graph.shaped(graph.of(x), shape)
    return graph.add("Tile", name, graph.ints([1] * (n - len(repetitions)) + list(repetitions)))


def _meshgrid(graph: Graph, y: Sequence[Tensor], *arrays: Tensor, indexing: str = "xy") -> list[Any]:
    """Each along an axis of its own; of the first two the axes are exchanged for "xy"."""
    n = len(arrays)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[:2] = [1, 0]
    found = []
    for x, axis, z in zip(arrays, order, y, strict=True):
        shape = [x.shape[0] if x.shape and a == axis else 1 for a in range(n)]
        found.append(graph.stretched(graph.shaped(graph.of(x), shape), shape, z.shape))
    return found


TABLE: Table = {
    "concat": _concat,
    "meshgrid": _meshgrid,
    "stack": _stack,
    "tile": _tile,
}

PARTING: Table = {"unstack": _unstack}
"""A primitive, which would be a slice for each part."""
