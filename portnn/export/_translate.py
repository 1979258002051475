"""Steps to operators: each by the table of its family, a primitive that no table has by the calls it made."""

from __future__ import annotations

from typing import Any

from portnn.export import (
    _activations,
    _arithmetic,
    _comparison,
    _elementwise,
    _images,
    _indexing,
    _joining,
    _networks,
    _ordering,
    _products,
    _recurrent,
    _reductions,
    _shapes,
)  # fmt: skip
from portnn.export._constants import constant_name
from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._steps import Step, tensors_in
from portnn.export._tables import Table
from portnn.export._tensors import Tensor

__all__ = ["CALLS", "PRIMITIVES", "know", "translate"]

PRIMITIVES: Table = {
    **_activations.TABLE, **_images.TABLE, **_joining.PARTING, **_networks.TABLE, **_recurrent.TABLE,
}  # fmt: skip
"""Primitives of portnn that have a counterpart of their own."""

CALLS: Table = {
    **_arithmetic.TABLE, **_comparison.TABLE, **_elementwise.TABLE, **_indexing.TABLE, **_joining.TABLE,
    **_ordering.TABLE, **_products.TABLE, **_reductions.TABLE, **_shapes.TABLE,
}  # fmt: skip
"""Functions of the standard."""


def translate(graph: Graph, step: Step) -> None:
    """Add what a step does.

    Raises:
        ExportError: if ONNX has no counterpart; the message names the primitive and the layer.
    """
    graph.place = step.place
    if step.own and step.name in PRIMITIVES and _by(PRIMITIVES, graph, step, step):
        return
    for call in step.calls():
        if call.name not in CALLS or not _by(CALLS, graph, call, step):
            raise _lacking(step, call, "ONNX has no counterpart of it")


def know(graph: Graph, tensor: Tensor) -> None:
    """Let the graph have a constant, when it is first needed.

    Raises:
        ExportError: if its values follow the batch in a way that ONNX cannot say.
    """
    if not graph.knows(tensor):
        graph.bind(tensor, constant_name(graph, tensor))


def _by(table: Table, graph: Graph, step: Step, outer: Step) -> bool:
    """Translate by a table; False if the translation is not for these dtypes or options."""
    try:
        for tensor in tensors_in((step.args, step.options)):
            know(graph, tensor)
        found = table[step.name](graph, step.result, *step.args, **step.options)
        if found is not NotImplemented:
            _bind(graph, step.result, found)
    except ExportError as error:
        raise _lacking(outer, step, error.reason) from error
    except TypeError as error:  # an option that the standard does not have
        raise _lacking(outer, step, str(error)) from error
    return found is not NotImplemented


def _bind(graph: Graph, result: Any, found: Any) -> None:
    if isinstance(result, Tensor):
        graph.bind(result, found)
    elif isinstance(result, tuple | list):
        for part, name in zip(result, found, strict=True):
            _bind(graph, part, name)


def _lacking(step: Step, call: Step, why: str) -> ExportError:
    inner = f", which the primitive {step.name!r} calls," if call is not step and step.own else ""
    place = f" in layer {step.place}" if step.place else ""
    return ExportError(f"{call.name!r}{inner}{place} cannot be exported: {why}"[:280])
