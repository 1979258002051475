"""The layers of a network: the output, the parameters and the cost of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import Backend
from portnn.nn import Cast, Embedding, Layer, Sequential, Shared, Visit, walk, watched
from portnn.nn._text import label_of
from portnn.program._program import Program
from portnn.program._trace import trace
from portnn.tracing import ControlFlowError

__all__ = ["Row", "Survey", "survey"]

_MOST = 1 << 25  # numbers of a sample: it is allocated, and so are the results of the layers


@final
@dataclass(frozen=True)
class Row:
    """A layer in the table.

    Attributes:
        path: its path, as in `portnn.nn.Visit`.
        name: a short name.
        output: the shapes of its outputs for one sample; None if unknown.
        parameters: the number of its parameters, including those of its members; None if unknown.
        flops: the arithmetic operations for one sample, likewise; None if unknown.
        is_container: whether it has members.
    """

    path: tuple[int, ...]
    name: str
    output: str | None = None
    parameters: int | None = None
    flops: int | None = None
    is_container: bool = False


@final
@dataclass(frozen=True)
class Survey:
    """The layers of a network, without the outer `Sequential`, and the total cost.

    Attributes:
        rows: a row for each layer, containers before their members.
        parameters: the number of parameters.
        parameter_bytes: their memory.
        program: the trace of the network for one sample; None if its shape is unknown or the network cannot
            be traced.
    """

    rows: tuple[Row, ...]
    parameters: int
    parameter_bytes: int
    program: Program | None


def survey(
    layer: Layer, params: Tree, state: Tree, backend: Backend, dtype: str, shape: tuple[int, ...] | None
) -> Survey:
    """Return the table of a network's layers.

    Args:
        layer: the network's layers.
        params: its parameters.
        state: its running state.
        backend: their backend.
        dtype: the dtype of its input.
        shape: the shape of one sample; None leaves outputs and costs unknown.

    Raises:
        ValueError: if the sample is too large to try.
    """
    if shape is not None and prod(shape) > _MOST:
        raise ValueError(
            f"summary: a sample of shape {shape!s:.80} is too large to be tried; "
            f"it may have {_MOST:,} numbers at most"
        )
    counts = dict(_counts(layer, params, ()))
    rows = {
        path: Row(path, label_of(part), parameters=counts.get(path), is_container=bool(part.members))
        for path, part in walk(layer)
    }
    program = None
    if shape is not None:
        x = _sample(layer, backend, dtype, shape)
        watched(layer, lambda visit: _note(rows, visit)).apply(params, x, state=state)
        program = _written(lambda p, s, x: layer.apply(p, x, state=s)[0], params, state, x)
    if isinstance(layer, Sequential):
        del rows[()]
    total = _count_numbers(params)
    return Survey(tuple(rows.values()), total, total * (8 if dtype == "float64" else 4), program)


def _sample(layer: Layer, backend: Backend, dtype: str, shape: tuple[int, ...]) -> Array:
    """Return one sample of zeros: word ids for a network that starts with an embedding."""
    first = next(part for _, part in walk(layer) if not part.members)
    name = "int64" if isinstance(first, Embedding) else dtype
    return backend.xp.zeros((1, *shape), dtype=backend.dtype(name), device=backend.device)


def _note(rows: dict[tuple[int, ...], Row], visit: Visit) -> None:
    """Record a call of a layer; costs add up over several calls."""
    row = rows[visit.path]
    outputs = [str(tuple(y.shape[1:])) for y in tree.leaves(visit.output)]
    options = visit.options

    def again(p: Tree, s: Tree, *inputs: Array) -> Any:
        return visit.layer.forward(p, s, *inputs, **options)[0]

    program = _written(again, visit.params, visit.state, *visit.inputs)
    flops = None if program is None else program.flops + (row.flops or 0)
    count = _count_numbers(visit.params) if row.parameters is None else row.parameters
    rows[visit.path] = replace(row, output=", ".join(outputs), parameters=count, flops=flops)


def _written(f: Any, *args: Any) -> Program | None:
    """Return the trace of a function; None if it cannot be traced."""
    try:
        return trace(f)(*args)
    except ControlFlowError:
        return None


def _count_numbers(params: Tree) -> int:
    return sum([prod(a.shape) for a in tree.leaves(params)])


def _counts(layer: Layer, params: Tree, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
    """Return the number of parameters of each layer, where their structure determines it."""
    yield path, _count_numbers(params)
    for i, own in enumerate(_shares(layer, params)):
        yield from _counts(layer.members[i], own, (*path, i))


def _shares(layer: Layer, params: Tree) -> list[Tree]:
    """Return the parameters of each member; none if a user's container stores them in another way."""
    members = layer.members
    if isinstance(layer, Cast):
        return [params]
    if isinstance(params, tuple | list) and len(params) == len(members):
        return list(params)
    if isinstance(layer, Shared):
        return [{}]  # counted in the layer that holds them
    if isinstance(params, dict):
        names = list(layer.parts()) if hasattr(layer, "parts") else ["layer", "shortcut"][: len(members)]
        if all(name in params for name in names) and len(names) == len(members):
            return [params[name] for name in names]
    return []
