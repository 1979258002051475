"""The table of a network: layers, output shapes, parameters, cost; as text and for notebooks."""

from __future__ import annotations

from html import escape
from typing import Any

from portnn.backend import Backend
from portnn.program._layers import Survey

__all__ = ["as_html", "as_text", "check_table"]

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
