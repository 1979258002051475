"""Elements in order."""

from __future__ import annotations

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


TABLE: Table = {"argsort": _sorted(1), "sort": _sorted(0)}
