"""Constants of a program as parts of a graph; some have to be made anew for each batch."""

from __future__ import annotations

from typing import Any

from portnn.backend import get_backend
from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._tensors import Tensor

__all__ = ["constant_name"]

_HOST = get_backend("numpy")


def constant_name(graph: Graph, tensor: Tensor) -> str:
    """The name of a constant.

    One whose shape follows the batch must repeat itself along those axes, as zeros do, or count along one of
    them, as positions do: then it is expanded, or counted, when the graph runs.

    Raises:
        ExportError: if its values follow the batch in another way.
    """
    arrays = tensor.arrays or ()
    if not tensor.follows:
        if all(_same(array, arrays[0]) for array in arrays[1:]):
            return graph.constant(arrays[0])
    else:
        cores = [_without_repeats(array, tensor.follows) for array in arrays]
        if cores[0] is not None and all(core is not None and _same(core, cores[0]) for core in cores):
            return graph.stretched(graph.constant(cores[0]), cores[0].shape, tensor.shape)
        if len(tensor.shape) == 1 and all(_counts(array) for array in arrays):
            return _counted(graph, tensor)
    raise ExportError(
        f"a constant {tensor} has values that follow the batch in a way that ONNX cannot say; "
        "batch_size=n exports a graph for batches of n alone"
    )


def _same(a: Any, b: Any) -> bool:
    xp = _HOST.xp
    return a.shape == b.shape and bool(xp.all((a == b) | ((a != a) & (b != b))))


def _without_repeats(array: Any, axes: list[int]) -> Any:
    """One element along these axes, if all are the same; else None."""
    index = tuple([slice(0, 1) if axis in axes else slice(None) for axis in range(array.ndim)])
    core = array[index]
    return core if _same(_HOST.xp.broadcast_to(core, array.shape), array) else None


def _counts(array: Any) -> bool:
    """Whether it is 0, 1, 2, ..."""
    return _same(array, _HOST.xp.arange(array.shape[0], dtype=array.dtype))


def _counted(graph: Graph, tensor: Tensor) -> str:
    number = [graph.number(value, "int64") for value in (0, 1)]
    counted = graph.add("Range", number[0], graph.of(tensor.shape[0], "int64"), number[1])
    return graph.cast(counted, tensor.dtype)
