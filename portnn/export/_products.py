"""Products of matrices and vectors."""

from __future__ import annotations

from typing import Any

from portnn.export._graph import Graph
from portnn.export._tables import Table, broad
from portnn.export._tensors import Tensor

__all__ = ["TABLE"]


def _matmul(graph: Graph, y: Tensor, x1: Tensor, x2: Tensor, /) -> str:
    dtype = broad(y.dtype)
    return graph.add("MatMul", graph.of(x1, dtype), graph.of(x2, dtype))


def _vecdot(graph: Graph, y: Tensor, x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> str:
    dtype = broad(y.dtype)
    product = graph.add("Mul", graph.of(x1, dtype), graph.of(x2, dtype))
    return graph.add("ReduceSum", product, graph.ints([axis]), keepdims=0)


def _tensordot(graph: Graph, y: Tensor, x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> str:
    """By Einstein's convention: a letter for each axis, the same one for two that are summed over."""
    n, m, dtype = len(x1.shape), len(x2.shape), broad(y.dtype)
    if isinstance(axes, int):
        axes = list(range(n - axes, n)), list(range(axes))
    first, second = [a % n for a in axes[0]], [a % m for a in axes[1]]
    left = [chr(ord("a") + a) for a in range(n)]
    right = [left[first[second.index(a)]] if a in second else chr(ord("A") + a) for a in range(m)]
    kept = [c for a, c in enumerate(left) if a not in first] + [c for c in right if c.isupper()]
    equation = f"{''.join(left)},{''.join(right)}->{''.join(kept)}"
    return graph.add("Einsum", graph.of(x1, dtype), graph.of(x2, dtype), equation=equation)


def _outer(graph: Graph, y: Tensor, x1: Tensor, x2: Tensor, /) -> str:
    column = graph.add("Unsqueeze", graph.of(x1, y.dtype), graph.ints([1]))
    return graph.add("Mul", column, graph.of(x2, y.dtype))


TABLE: Table = {
    "linalg.matmul": _matmul,
    "linalg.outer": _outer,
    "linalg.tensordot": _tensordot,
    "linalg.vecdot": _vecdot,
    "matmul": _matmul,
    "tensordot": _tensordot,
    "vecdot": _vecdot,
}
