"""Images in grids, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from portnn._typing import Array, ArrayLike
from portnn.plot._figure import PLAIN, new_figure, plain, to_host

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 4.0  # inches of the grids


def image_grids(grids: Mapping[str, ArrayLike]) -> Figure:
    """Draw grids of images of one channel, side by side under their titles.

    Args:
        grids: a title and an array of shape (rows, columns, height, width) for each grid. Larger values
            are darker; white is the least value of a grid or zero, black the largest.

    Returns:
        The figure, with axes for each grid.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: a grid holds no real numbers.
        ValueError: there is no grid, or one has another number of axes, or no image.

    Example:
        >>> import numpy as np
        >>> figure = image_grids({"noise": np.random.default_rng(0).random((2, 3, 8, 8))})
        >>> figure.axes[0].get_title()
        'noise'
    """
    tiled = {title: _tiles(to_host(grid, f"the grid {title!r:.60}"), title) for title, grid in grids.items()}
    if not tiled:
        raise ValueError("image_grids: expected at least one grid, got none")
    from matplotlib import colormaps

    shades = colormaps["gray_r"].resampled(16)  # as good to the eye, and a third of the bytes in a file
    widths = [_HEIGHT * picture.shape[1] / picture.shape[0] for picture in tiled.values()]
    figure = new_figure(sum(widths) + 0.2 * len(widths), _HEIGHT + 0.4)
    axes = figure.subplots(1, len(tiled), squeeze=False, width_ratios=widths)
    for one, (title, picture) in zip(axes.flat, tiled.items(), strict=True):
        one.imshow(picture, cmap=shades, vmin=min(0, picture.min()), vmax=picture.max())
        one.set_title(plain(title), fontsize="medium", **PLAIN)
        one.set_axis_off()
    return figure


def _tiles(grid: Array, title: str) -> Array:
    """The images of a grid as one."""
    if grid.ndim != 4 or not grid.size:
        raise ValueError(
            f"image_grids: expected shape (rows, columns, height, width) for {title!r:.60}, got {grid.shape}"
        )
    rows, columns, height, width = grid.shape
    return grid.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
