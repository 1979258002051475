"""A network as boxes and arrows."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from portnn.network import Network
from portnn.nn import Concatenate, Layer, Parallel, Residual, Sequential, Sum, TransformerEncoder
from portnn.plot._blocks import GAP, Block, Box, Frame, Parts, Row, Stack, arrow
from portnn.plot._figure import new_figure, put_title
from portnn.plot._mistakes import check_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TALLEST = 6.6  # inches of a column
_MARGIN = 0.35


def diagram(
    network: Network,
    input_shape: tuple[int, ...] | None = None,
    *,
    depth: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the layers of a network as boxes, from input to output.

    Boxes of layers that learn are blue, the others grey. Beside each arrow stands the shape of one sample.
    Dotted frames are containers; a way past the layers inside is a shortcut, whose end is added. Boxes
    without arrows are parts that their container connects in a way of its own.

    Args:
        network: the network.
        input_shape: the shape of one sample, as for `portnn.Network.summary`.
        depth: how deep to look into containers: 1 draws the outermost layers alone, None all.
        title: a line above the figure.

    Returns:
        The figure; long networks go on in further columns.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: an argument is of the wrong type.
        ValueError: the shape does not fit the network, or depth is less than 1.

    Example:
        >>> from portnn import nn
        >>> figure = diagram(Network([nn.Linear(784, 10), nn.relu, nn.Linear(10, 10)]))
        >>> [text.get_text() for text in figure.axes[0].texts if "Linear" in text.get_text()]
        ['Linear(784, 10)', 'Linear(10, 10)']
    """
    if depth is not None:
        check_number(depth)
    shape = network.sample_shape if input_shape is None else input_shape
    rows = {row.path: row for row in network.survey(shape).rows}
    top = network.layer
    parts = top.members if isinstance(top, Sequential) else (top,)
    paths = [(i,) for i in range(len(parts))] if isinstance(top, Sequential) else [()]
    blocks = [_block(rows, path, part, depth) for path, part in zip(paths, parts, strict=True)]
    columns = _columns(blocks)
    widths = [column.width for column in columns]
    height = max(column.height for column in columns) + 2 * GAP
    figure = new_figure(sum(widths) + _MARGIN * (len(widths) + 1), height + 0.4 + (0.3 if title else 0.0))
    put_title(figure, title)
    axes = figure.subplots()
    axes.set_xlim(-_MARGIN / 2, sum(widths) + _MARGIN * (len(widths) - 0.5))
    axes.set_ylim(-height - 0.15, 0.15)
    axes.set_axis_off()
    _draw(axes, columns, "?" if shape is None else str(tuple(shape)))
    return figure


def _block(rows: dict[Any, Any], path: tuple[int, ...], layer: Layer, depth: int | None) -> Block:
    """A layer with everything in it, as far as `depth` goes."""
    row = rows[path]
    output = row.output or ""
    if not layer.members or depth == 1:
        return Box(
            row.name, f"{row.parameters:,} parameters" if row.parameters else "", output, bool(row.parameters)
        )
    deeper = None if depth is None else depth - 1
    inner = [_block(rows, (*path, i), member, deeper) for i, member in enumerate(layer.members)]
    if isinstance(layer, Residual):
        body = inner[0] if len(inner) == 1 else Row(inner, output)
        return Frame(row.name, body, output, shortcut=len(inner) == 1)
    if isinstance(layer, Parallel | Sum | Concatenate):
        return Frame(row.name, Row(inner, output), output)
    if isinstance(layer, Sequential):
        return Stack(inner)
    chained = len(inner) == 1 or isinstance(layer, TransformerEncoder)
    return Frame(row.name, Stack(inner) if chained else Parts(inner, output), output)


def _columns(blocks: list[Block]) -> list[Stack]:
    """The blocks in columns of about the same height, none much higher than a page."""
    tall = sum(block.height + GAP for block in blocks)
    limit = tall / ceil(tall / _TALLEST)
    columns: list[list[Block]] = [[]]
    filled = 0.0
    for block in blocks:
        if columns[-1] and filled + block.height / 2 > limit * len(columns):
            columns.append([])
        columns[-1].append(block)
        filled += block.height + GAP
    return [Stack(column) for column in columns]


def _draw(axes: Any, columns: list[Stack], shape: str) -> None:
    """The columns side by side, with arrows from the bottom of one to the top of the next."""
    x = columns[0].width / 2
    arrow(axes, (x, 0.0), (x, -GAP), text=shape)
    bottom = -GAP - max(column.height for column in columns)
    for i, column in enumerate(columns):
        column.draw(axes, x, -GAP)
        end = -GAP - column.height
        if i == len(columns) - 1:
            arrow(axes, (x, end), (x, end - GAP), text=column.output)
            return
        between, after = x + column.width / 2 + _MARGIN / 2, columns[i + 1]
        ahead = between + _MARGIN / 2 + after.width / 2
        low = bottom - GAP / 2
        arrow(
            axes,
            (x, end),
            (x, low),
            (between, low),
            (between, -GAP / 2),
            (ahead, -GAP / 2),
            (ahead, -GAP),
            text=column.output,
        )
        x = ahead
