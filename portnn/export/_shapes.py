"""The same elements in another shape or order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._tables import Table
from portnn.export._tensors import Length, Size, Tensor

__all__ = ["TABLE", "axes_of"]


def axes_of(axis: Any, ndim: int) -> list[int]:
    """The axes meant, counted from the first; None means all."""
    if axis is None:
        return list(range(ndim))
    return [a % ndim for a in ((axis,) if isinstance(axis, int) else axis)]


def _reshape(graph: Graph, y: Tensor, x: Tensor, /, shape: Any = None, *, copy: bool | None = None) -> str:
    return graph.shaped(graph.of(x), y.shape)


def _broadcast_to(graph: Graph, y: Tensor, x: Tensor, /, shape: Any) -> str:
    return graph.stretched(graph.of(x), x.shape, y.shape)


def _broadcast_arrays(graph: Graph, y: Sequence[Tensor], *arrays: Tensor) -> list[str]:
    return [graph.stretched(graph.of(x), x.shape, z.shape) for x, z in zip(arrays, y, strict=True)]


def _expand_dims(graph: Graph, y: Tensor, x: Tensor, /, axis: int = 0) -> str:
    return graph.add("Unsqueeze", graph.of(x), graph.ints(axes_of(axis, len(y.shape))))


def _squeeze(graph: Graph, y: Tensor, x: Tensor, /, axis: Any) -> str:
    return graph.add("Squeeze", graph.of(x), graph.ints(axes_of(axis, len(x.shape))))


def _permute_dims(graph: Graph, y: Tensor, x: Tensor, /, axes: Sequence[int]) -> str:
    return graph.transposed(graph.of(x), axes_of(tuple(axes), len(x.shape)))


def _matrix_transpose(graph: Graph, y: Tensor, x: Tensor, /) -> str:
    n = len(x.shape)
    return graph.transposed(graph.of(x), [*range(n - 2), n - 1, n - 2])


def _moveaxis(graph: Graph, y: Tensor, x: Tensor, source: Any, destination: Any, /) -> str:
    n = len(x.shape)
    origin, target = axes_of(source, n), axes_of(destination, n)
    order = [a for a in range(n) if a not in origin]
    for to, a in sorted(zip(target, origin, strict=True)):
        order.insert(to, a)
    return graph.transposed(graph.of(x), order)


def _flip(graph: Graph, y: Tensor, x: Tensor, /, *, axis: Any = None) -> str:
    name = graph.of(x)
    for a in axes_of(axis, len(x.shape)):
        name = graph.sliced(name, a, None, None, -1)
    return name


def _roll(graph: Graph, y: Tensor, x: Tensor, /, shift: Any, *, axis: Any = None) -> str:
    """What leaves at one end comes in at the other: two slices the other way round."""
    if axis is None:
        if any(isinstance(n, Size) for n in x.shape):
            raise ExportError("rolling a flattened batch moves elements from one sample to the next")
        flat = graph.shaped(graph.of(x), [_product(x.shape)])
        return graph.shaped(_rolled(graph, flat, 0, shift, _product(x.shape)), y.shape)
    axes = axes_of(axis, len(x.shape))
    shifts = [shift] * len(axes) if isinstance(shift, int) else list(shift)
    name = graph.of(x)
    for a, places in zip(axes, shifts, strict=True):
        name = _rolled(graph, name, a, places, x.shape[a])
    return name


def _product(shape: Sequence[Length]) -> int:
    size = 1
    for n in shape:
        size *= n if isinstance(n, int) else 1
    return size


def _rolled(graph: Graph, name: str, axis: int, shift: int, length: Length) -> str:
    if isinstance(length, Size):
        raise ExportError("samples cannot be rolled along the batch")
    cut = -shift % max(1, length)
    if not cut:
        return name
    back, front = graph.sliced(name, axis, cut, None), graph.sliced(name, axis, 0, cut)
    return graph.add("Concat", back, front, axis=axis)


def _triangle(upper: int) -> Any:
    def translate(graph: Graph, y: Tensor, x: Tensor, /, *, k: int = 0) -> str:
        return graph.add("Trilu", graph.of(x), graph.number(k, "int64"), upper=upper)

    return translate


TABLE: Table = {
    "broadcast_arrays": _broadcast_arrays,
    "broadcast_to": _broadcast_to,
    "expand_dims": _expand_dims,
    "flip": _flip,
    "linalg.matrix_transpose": _matrix_transpose,
    "matrix_transpose": _matrix_transpose,
    "moveaxis": _moveaxis,
    "permute_dims": _permute_dims,
    "reshape": _reshape,
    "roll": _roll,
    "squeeze": _squeeze,
    "tril": _triangle(0),
    "triu": _triangle(1),
}
