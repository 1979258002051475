"""Parts of arrays by their positions."""

from __future__ import annotations

from typing import Any

from portnn.export._errors import ExportError
from portnn.export._graph import LAST, Graph
from portnn.export._tables import Table, same
from portnn.export._tensors import Length, Tensor

__all__ = ["TABLE"]


def _getitem(graph: Graph, y: Tensor, x: Tensor, index: Any, /) -> str:
    entries = list(index) if isinstance(index, tuple) else [index]
    named = len([e for e in entries if e is not None and e is not Ellipsis])
    if any(isinstance(e, bool) for e in entries):
        raise ExportError("an index is True or False")
    rest = [slice(None)] * (len(x.shape) - named)
    at = next((i for i, e in enumerate(entries) if e is Ellipsis), len(entries))
    entries = [*entries[:at], *rest, *entries[at + 1 :]]
    if any(isinstance(e, Tensor) for e in entries):
        return _by_arrays(graph, x, entries)
    return _by_slices(graph, x, entries)


def _by_slices(graph: Graph, x: Tensor, entries: list[Any]) -> str:
    """One slice for all axes; then integers leave out theirs, and None adds one."""
    starts: list[Length] = []
    stops: list[Length] = []
    axes: list[int] = []
    steps: list[int] = []
    gone: list[int] = []
    for axis, entry in enumerate([e for e in entries if e is not None]):
        if isinstance(entry, slice):
            start, stop, step = _bounds(entry)
        else:
            start, stop, step = entry, LAST if entry == -1 else entry + 1, 1
            gone.append(axis)
        if (start, stop, step) != (0, LAST, 1):
            starts, stops, axes, steps = [*starts, start], [*stops, stop], [*axes, axis], [*steps, step]
    name = graph.of(x)
    if axes:
        where = [graph.ints(values) for values in (starts, stops, axes, steps)]
        name = graph.add("Slice", name, *where)
    if gone:
        name = graph.add("Squeeze", name, graph.ints(gone))
    added = [i for i, e in enumerate([e for e in entries if e is None or isinstance(e, slice)]) if e is None]
    return graph.add("Unsqueeze", name, graph.ints(added)) if added else name


def _bounds(entry: slice) -> tuple[Length, Length, int]:
    step = 1 if entry.step is None else entry.step
    ends = (0, LAST) if step > 0 else (LAST, -LAST)
    start = ends[0] if entry.start is None else entry.start
    return start, ends[1] if entry.stop is None else entry.stop, step


def _by_arrays(graph: Graph, x: Tensor, entries: list[Any]) -> str:
    """One array among full slices, or arrays for the first axes."""
    arrays = [i for i, e in enumerate(entries) if isinstance(e, Tensor)]
    whole = all(e == slice(None) for e in entries if isinstance(e, slice))
    plain = all(isinstance(e, Tensor | slice) for e in entries) and whole
    if plain and len(arrays) == 1:
        return graph.add("Gather", graph.of(x), _positions(graph, entries[arrays[0]]), axis=arrays[0])
    if plain and arrays == list(range(len(arrays))):
        return _by_several(graph, x, [entries[i] for i in arrays])
    raise ExportError("an index mixes arrays with other things; use portnn.ops.take")


def _by_several(graph: Graph, x: Tensor, indices: list[Tensor]) -> str:
    """Arrays, broadcast, side by side: `GatherND` takes one element, or block, for each."""
    shape = max([i.shape for i in indices], key=len)
    if any(i.shape != shape for i in indices):
        raise ExportError("arrays of different shapes in an index; broadcast them before")
    last = graph.ints([len(shape)])
    columns = [graph.add("Unsqueeze", _positions(graph, i), last) for i in indices]
    return graph.add("GatherND", graph.of(x), graph.add("Concat", *columns, axis=len(shape)))


def _positions(graph: Graph, indices: Tensor) -> str:
    if not indices.dtype.startswith(("int", "uint")):
        raise ExportError(f"an index of dtype {indices.dtype}; expected integers")
    return graph.of(indices, "int64")


def _take(graph: Graph, y: Tensor, x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> str:
    return graph.add("Gather", graph.of(x), _positions(graph, indices), axis=(axis or 0) % len(x.shape))


def _take_along_axis(graph: Graph, y: Tensor, x: Tensor, indices: Tensor, /, *, axis: int = -1) -> str:
    """`GatherElements` does not broadcast: both are stretched along the other axes before."""
    axis %= len(x.shape)
    wide = [x.shape[axis] if a == axis else length for a, length in enumerate(y.shape)]
    values = graph.stretched(graph.of(x), x.shape, wide)
    places = graph.stretched(_positions(graph, indices), indices.shape, y.shape)
    return graph.add("GatherElements", values, places, axis=axis)


TABLE: Table = {
    "getitem": _getitem,
    "in_range": same,
    "take": _take,
    "take_along_axis": _take_along_axis,
}
