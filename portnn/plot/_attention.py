"""Where a decoder looks."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

from portnn._typing import Array, ArrayLike
from portnn.plot._figure import PLAIN, new_figure, plain, to_host

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention_maps(maps: Sequence[tuple[ArrayLike, Sequence[object], Sequence[object]]]) -> Figure:
    """Draw weights of attention: how much each element that is written looks at each that is read.

    Args:
        maps: for each map the weights, of shape (written, read) and between 0 and 1, the names of what is
            written, and the names of what is read.

    Returns:
        The figure, with axes for each map; the darker, the more.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: weights hold no real numbers.
        ValueError: there is no map, or names do not fit the shape of the weights.

    Example:
        >>> figure = attention_maps([([[0.9, 0.1], [0.2, 0.8]], ["F", "AY"], ["p", "i"])])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['F', 'AY']
    """
    checked = [_check(i, *one) for i, one in enumerate(maps)]
    if not checked:
        raise ValueError("attention_maps: expected at least one map, got none")
    columns = ceil(sqrt(len(checked)))
    rows = ceil(len(checked) / columns)
    height = max(0.22 * weights.shape[0] + 0.7 for weights, _, _ in checked)
    width = max(0.22 * weights.shape[1] + 0.7 for weights, _, _ in checked)
    figure = new_figure(width * columns, height * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(checked) :]:
        axes.set_axis_off()
    for axes, one in zip(grid.flat, checked, strict=False):
        _draw(axes, *one)
    return figure


def _check(
    number: int, weights: ArrayLike, written: Sequence[object], read: Sequence[object]
) -> tuple[Array, list[str], list[str]]:
    found = to_host(weights, f"the weights of map {number}")
    if found.shape != (len(written), len(read)) or not found.size:
        raise ValueError(
            f"attention_maps: map {number} names {len(written)} rows and {len(read)} columns, but its "
            f"weights have shape {found.shape}"
        )
    return found, [plain(name) for name in written], [plain(name) for name in read]


def _draw(axes: Any, weights: Array, written: list[str], read: list[str]) -> None:
    axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(read)), read, **PLAIN)
    axes.set_yticks(range(len(written)), written, **PLAIN)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_color("#c0c0c0")
