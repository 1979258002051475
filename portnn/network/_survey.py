"""What there is to know of each layer of a network: its output, its parameters, its cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from math import prod
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import Backend
from portnn.nn import (
    Activation,
    Cast,
    Embedding,
    Layer,
    Linear,
    Repeat,
    Sequential,
    Shared,
    Visit,
    walk,
    watched,
)
from portnn.program import Program, trace
from portnn.tracing import ControlFlowError

__all__ = ["Row", "Survey", "label_of", "survey"]

_MOST = 1 << 25  # numbers of a sample: it is made and tried, with memory for what the layers make of it


@final
@dataclass(frozen=True)
class Row:
    """A layer of a network.

    Attributes:
        path: its place, as in `portnn.nn.Visit`.
        name: what it is, in a few words.
        output: the shapes of what it makes of one sample; None if not known.
        parameters: how many numbers it learns, with those of its members; None if not known.
        flops: the arithmetic operations for one sample, likewise; None if not known.
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
    """The layers of a network, without the `Sequential` around them, and the cost of the whole.

    Attributes:
        rows: a row for each layer, containers before their members.
        parameters: how many numbers the network learns.
        parameter_bytes: their memory.
        program: what the network does with one sample; None if its shape is not known or Python asks for
            values on the way.
    """

    rows: tuple[Row, ...]
    parameters: int
    parameter_bytes: int
    program: Program | None


def survey(
    layer: Layer, params: Tree, state: Tree, backend: Backend, dtype: str, shape: tuple[int, ...] | None
) -> Survey:
    """Look at each layer of a network.

    Args:
        layer: the network's description.
        params: its parameters.
        state: its running state.
        backend: where they lie.
        dtype: the dtype of its input.
        shape: the shape of one sample; None leaves outputs and costs unknown.

    Raises:
        ValueError: if the sample is too large to be tried.
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
    total = _size(params)
    return Survey(tuple(rows.values()), total, total * (8 if dtype == "float64" else 4), program)


def _sample(layer: Layer, backend: Backend, dtype: str, shape: tuple[int, ...]) -> Array:
    """One sample of zeros: numbers of words for a network that begins with an embedding."""
    first = next(part for _, part in walk(layer) if not part.members)
    name = "int64" if isinstance(first, Embedding) else dtype
    return backend.xp.zeros((1, *shape), dtype=backend.dtype(name), device=backend.device)


def _note(rows: dict[tuple[int, ...], Row], visit: Visit) -> None:
    """Write down what a layer did; a layer that is used several times is paid for as often."""
    row = rows[visit.path]
    outputs = [str(tuple(y.shape[1:])) for y in tree.leaves(visit.output)]
    options = visit.options

    def again(p: Tree, s: Tree, *inputs: Array) -> Any:
        return visit.layer.forward(p, s, *inputs, **options)[0]

    program = _written(again, visit.params, visit.state, *visit.inputs)
    flops = None if program is None else program.flops + (row.flops or 0)
    count = _size(visit.params) if row.parameters is None else row.parameters
    rows[visit.path] = replace(row, output=", ".join(outputs), parameters=count, flops=flops)


def _written(f: Any, *args: Any) -> Program | None:
    """What a function does; None if it cannot be written down."""
    try:
        return trace(f)(*args)
    except ControlFlowError:
        return None


def _size(params: Tree) -> int:
    return sum([prod(a.shape) for a in tree.leaves(params)])


def _counts(layer: Layer, params: Tree, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
    """How many parameters each layer has, as far as the structure of the parameters tells it."""
    yield path, _size(params)
    for i, own in enumerate(_shares(layer, params)):
        yield from _counts(layer.members[i], own, (*path, i))


def _shares(layer: Layer, params: Tree) -> list[Tree]:
    """The parameters of each member; nothing if a container of one's own keeps them in another way."""
    members = layer.members
    if isinstance(layer, Cast):
        return [params]
    if isinstance(params, tuple | list) and len(params) == len(members):
        return list(params)
    if isinstance(layer, Shared):
        return [{}]  # they are counted where they are held
    if isinstance(params, dict):
        names = list(layer.parts()) if hasattr(layer, "parts") else ["layer", "shortcut"][: len(members)]
        if all(name in params for name in names) and len(names) == len(members):
            return [params[name] for name in names]
    return []


def label_of(layer: Layer) -> str:
    """A layer in at most 40 characters."""
    if isinstance(layer, Activation) and layer.options == ():
        return repr(layer)
    if isinstance(layer, Linear):
        return f"Linear({layer.in_features}, {layer.out_features}{'' if layer.bias else ', bias=False'})"
    if isinstance(layer, Repeat):
        return f"Repeat({layer.times} times)"
    if isinstance(layer, Shared):
        return f"Shared({layer.name!r})"[:40]
    if layer.members:
        return type(layer).__name__
    text = repr(layer)
    if len(text) > 40 and is_dataclass(layer):
        text = _short(layer)
    return text if len(text) <= 40 else f"{type(layer).__name__}(...)"


def _short(layer: Any) -> str:
    """A layer by what it has to be told, such as ``Conv2d(1, 16, 5)``; a tuple of one number as that."""
    needed = [f.name for f in fields(layer) if f.default is MISSING and f.default_factory is MISSING]
    values = [getattr(layer, name) for name in needed]
    once = [v[0] if isinstance(v, tuple) and v and set(v) == {v[0]} else v for v in values]
    return f"{type(layer).__name__}({', '.join(map(repr, once))})"
