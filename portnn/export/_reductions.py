"""Many elements made one: sums, means, extremes, and sums of all so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._shapes import axes_of
from portnn.export._tables import Table, Translation, broad
from portnn.export._tensors import Size, Tensor, fixed

__all__ = ["TABLE", "reduced"]


def reduced(graph: Graph, op: str, name: str, ndim: int, axis: Any, keepdims: bool) -> str:
    """A reduction over axes; over none of them it is nothing."""
    axes = axes_of(axis, ndim)
    if not axes:
        return name
    return graph.add(op, name, graph.ints(axes), keepdims=int(keepdims))


def _reduction(op: str) -> Translation:
    def translate(
        graph: Graph, y: Tensor, x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False
    ) -> str:
        # The standard sums unsigned integers in uint64, where no runtime does; narrower ones fit into int64.
        wide = "int64" if y.dtype == "uint64" != x.dtype else broad(y.dtype)
        return reduced(graph, op, graph.of(x, wide), len(x.shape), axis, keepdims)

    return translate


def _extreme(op: str) -> Translation:
    """Of all, or of any: the least or the largest of zeros and ones."""

    def translate(graph: Graph, y: Tensor, x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> str:
        ones = graph.cast(graph.of(x, "bool"), "int32")
        return reduced(graph, op, ones, len(x.shape), axis, keepdims)

    return translate


def _count_nonzero(graph: Graph, y: Tensor, x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> str:
    ones = graph.cast(graph.of(x, "bool"), "int64")
    return reduced(graph, "ReduceSum", ones, len(x.shape), axis, keepdims)


def _variance(graph: Graph, y: Tensor, x: Tensor, axis: Any, correction: float, keepdims: bool) -> str:
    axes = axes_of(axis, len(x.shape))
    name = graph.of(x, y.dtype)
    apart = graph.add("Sub", name, reduced(graph, "ReduceMean", name, len(x.shape), axes, True))
    squares = graph.add("Mul", apart, apart)
    if not correction:
        return reduced(graph, "ReduceMean", squares, len(x.shape), axes, keepdims)
    total = reduced(graph, "ReduceSum", squares, len(x.shape), axes, keepdims)
    count = 1
    for a in axes:
        length = x.shape[a]
        if isinstance(length, Size):
            raise ExportError("a variance over the batch with a correction")
        count *= length
    return graph.add("Div", total, graph.number(count - correction, y.dtype))


def _spread(*, root: bool) -> Translation:
    """The variance, or its root."""

    def translate(
        graph: Graph,
        y: Tensor,
        x: Tensor,
        /,
        *,
        axis: Any = None,
        correction: float = 0.0,
        keepdims: bool = False,
    ) -> str:
        variance = _variance(graph, y, x, axis, correction, keepdims)
        return graph.add("Sqrt", variance) if root else variance

    return translate


def _place(op: str) -> Translation:
    """Where the largest or the least is; the first of several."""

    def translate(
        graph: Graph, y: Tensor, x: Tensor, /, *, axis: int | None = None, keepdims: bool = False
    ) -> str:
        name = graph.of(x, broad("int32" if x.dtype == "bool" else x.dtype))
        if axis is None:
            flat = graph.add("Reshape", name, graph.ints([-1]))
            found = graph.add(op, flat, dtype="int64", axis=0, keepdims=0)
            return graph.shaped(found, [1] * len(x.shape)) if keepdims else found
        return graph.add(op, name, dtype="int64", axis=axis % len(x.shape), keepdims=int(keepdims))

    return translate


def _cumulative(along: Callable[[Graph, Tensor, Tensor, int, bool], str]) -> Translation:
    """Of all elements so far along an axis, the first by default."""

    def translate(
        graph: Graph,
        y: Tensor,
        x: Tensor,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        include_initial: bool = False,
    ) -> str:
        return along(graph, y, x, (axis or 0) % len(x.shape), include_initial)

    return translate


def _sums(graph: Graph, y: Tensor, x: Tensor, axis: int, include_initial: bool) -> str:
    found = graph.add("CumSum", graph.of(x, broad(y.dtype)), graph.number(axis, "int64"))
    if not include_initial:
        return found
    shape = [1 if a == axis else length for a, length in enumerate(x.shape)]
    zero = graph.number(0, broad(y.dtype))
    return graph.add("Concat", graph.stretched(zero, [], shape), found, axis=axis)


def _products(graph: Graph, y: Tensor, x: Tensor, axis: int, include_initial: bool) -> str:
    """Product i is that of a row in which everything behind element i is one."""
    (length,), n, dtype = fixed([x.shape[axis]]), len(x.shape), broad(y.dtype)
    order = [a for a in range(n) if a != axis] + [axis]
    rows = graph.add("Unsqueeze", graph.transposed(graph.of(x, dtype), order), graph.ints([n - 1]))
    ones = graph.stretched(graph.number(1, "int64"), [], [length + include_initial, length])
    so_far = graph.add("Trilu", ones, graph.number(-int(include_initial), "int64"), upper=0)
    masked = graph.add("Where", graph.cast(so_far, "bool"), rows, graph.number(1, dtype), dtype=dtype)
    found = graph.add("ReduceProd", masked, graph.ints([n]), keepdims=0)
    return graph.transposed(found, [order.index(a) for a in range(n)])


_NORMS = {1: "ReduceL1", 2: "ReduceL2"}


def _vector_norm(
    graph: Graph, y: Tensor, x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2
) -> str:
    name, n = graph.of(x, y.dtype), len(x.shape)
    if ord in _NORMS:
        return reduced(graph, _NORMS[ord], name, n, axis, keepdims)
    if ord in (float("inf"), -float("inf")):
        op = "ReduceMax" if ord > 0 else "ReduceMin"
        return reduced(graph, op, graph.add("Abs", name), n, axis, keepdims)
    if ord == 0:
        return reduced(graph, "ReduceSum", graph.cast(graph.cast(name, "bool"), y.dtype), n, axis, keepdims)
    powers = graph.add("Pow", graph.add("Abs", name), graph.number(ord, y.dtype))
    total = reduced(graph, "ReduceSum", powers, n, axis, keepdims)
    return graph.add("Pow", total, graph.number(1.0 / ord, y.dtype))


TABLE: Table = {
    "all": _extreme("ReduceMin"),
    "any": _extreme("ReduceMax"),
    "argmax": _place("ArgMax"),
    "argmin": _place("ArgMin"),
    "count_nonzero": _count_nonzero,
    "cumulative_prod": _cumulative(_products),
    "cumulative_sum": _cumulative(_sums),
    "linalg.vector_norm": _vector_norm,
    "max": _reduction("ReduceMax"),
    "mean": _reduction("ReduceMean"),
    "min": _reduction("ReduceMin"),
    "prod": _reduction("ReduceProd"),
    "std": _spread(root=True),
    "sum": _reduction("ReduceSum"),
    "var": _spread(root=False),
}
