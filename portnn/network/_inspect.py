"""Inspect a network: the table of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from math import prod
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import Backend
from portnn.nn import Cast, Embedding, Layer, Sequential, Shared, Visit, walk, watched
from portnn.nn._text import label_of
from portnn.program import Program, trace
from portnn.tracing import ControlFlowError

__all__ = [
    "Row", "Survey", "as_html", "as_text", "check_table", "survey",
]  # fmt: skip

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


_HEAD = ("layer", "output", "parameters", "flops")
# Everything has the color of the page's text, which suits light and dark pages.
_STYLE = (
    ".portnn-net table{color:inherit;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    ".portnn-net th,.portnn-net td{padding:.15em .8em;text-align:right;background:none;color:inherit}"
    ".portnn-net th:first-child,.portnn-net td:first-child{text-align:left;font-family:monospace}"
    ".portnn-net thead th,.portnn-net tbody{border-bottom:1px solid rgba(128,128,128,.6)}"
    ".portnn-net caption{text-align:left;padding:.2em .8em;caption-side:top;color:inherit}"
    ".portnn-net tfoot td{text-align:left;font-family:inherit;opacity:.8}"
)


def check_table(input_shape: Any, depth: Any) -> None:
    """Check the arguments of `summary`.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a length or the depth is out of range.
    """
    if isinstance(input_shape, int):
        raise TypeError(f"summary: input_shape must be a tuple, got int; write ({input_shape},)")
    if any(isinstance(n, bool) or not hasattr(n, "__index__") or n < 0 for n in input_shape or ()):
        raise ValueError(f"summary: input_shape must be a tuple of lengths, got {input_shape!r:.60}")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int)):
        raise TypeError(f"summary: depth must be an integer or None, got {type(depth).__name__}")
    if depth is not None and depth < 1:
        raise ValueError(f"summary: depth must be at least 1, got {depth}")


def as_text(survey: Survey, backend: Backend, dtype: str, depth: int | None = None) -> str:
    """Format the table as text, with members indented below their container.

    Args:
        survey: the layers.
        backend: the network's backend.
        dtype: the dtype of its parameters.
        depth: the number of levels of containers to show; None shows all.

    Returns:
        Several lines of text.
    """
    rows = [_HEAD, *[("  " * level + name, *rest) for level, name, *rest in _cells(survey, depth)]]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule, *_totals(survey, backend, dtype)])


def as_html(survey: Survey, backend: Backend, dtype: str, title: str) -> str:
    """Format the table as self-contained HTML for a notebook.

    Args:
        survey: the layers.
        backend: the network's backend.
        dtype: the dtype of its parameters.
        title: a line above the table.
    """
    head = "".join([f"<th>{name}</th>" for name in _HEAD])
    body = "".join([_html_row(*row) for row in _cells(survey, None)])
    foot = "<br>".join([escape(line) for line in _totals(survey, backend, dtype)])
    return (
        f'<div class="portnn-net"><style>{_STYLE}</style><table><caption>{escape(title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        f'<tfoot><tr><td colspan="4">{foot}</td></tr></tfoot></table></div>'
    )


def _html_row(level: int, name: str, *rest: str) -> str:
    first = f'<td style="padding-left:{0.8 + 1.2 * level:g}em">{escape(name)}</td>'
    return f"<tr>{first}{''.join([f'<td>{escape(cell)}</td>' for cell in rest])}</tr>"


def _cells(survey: Survey, depth: int | None) -> list[tuple[int, str, str, str, str]]:
    """Return the indentation and the texts of each row."""
    outermost = min([len(row.path) for row in survey.rows], default=0)
    cells = []
    for row in survey.rows:
        level = len(row.path) - outermost
        if depth is None or level < depth:
            numbers = [f"{n:,}" if n is not None else "?" for n in (row.parameters, row.flops)]
            cells.append((level, row.name, row.output or "?", numbers[0], numbers[1]))
    return cells


def _totals(survey: Survey, backend: Backend, dtype: str) -> list[str]:
    """Return the lines for the total parameters and the cost of one sample."""
    memory = f"{survey.parameters:,} parameters ({_bytes_text(survey.parameter_bytes)})"
    lines = [f"{memory}, {dtype}, on {backend.name}"]
    program = survey.program
    if program is not None:
        moved, peak = _bytes_text(program.bytes), _bytes_text(program.peak_bytes)
        lines.append(f"a sample: {program.flops:,} flops, {moved} read and written, {peak} of memory")
    return lines


def _bytes_text(n: int) -> str:
    """Format a number of bytes; a kB is 1000 bytes."""
    value, unit = float(n), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if unit != "B" else f"{n} B"
