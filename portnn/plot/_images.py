"""Images in a grid, each under a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from portnn._typing import ArrayLike
from portnn.plot._figure import PLAIN, VERMILLION, new_figure, plain, put_title, to_host
from portnn.plot._mistakes import FRAME, as_pictures, grid_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def images(
    images: ArrayLike,
    captions: Sequence[str] | None = None,
    *,
    marked: Sequence[bool] | None = None,
    columns: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw images in a grid, row by row.

    Args:
        images: of shape (samples, height, width), (samples, channels, height, width) with 1 or 3
            channels, or (samples, side²); larger values of one channel are drawn darker.
        captions: a line above each image.
        marked: which captions are to stand out.
        columns: how many images stand side by side; None makes the grid about as wide as high.
        title: a line above the figure.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: images do not hold real numbers.
        ValueError: there are no images, or not as many captions or marks as images.

    Example:
        >>> import numpy as np
        >>> figure = images(np.zeros((3, 28, 28), dtype=np.uint8), ["7", "2", "1"], columns=3)
        >>> [axes.get_title() for axes in figure.axes]
        ['7', '2', '1']
    """
    pictures = as_pictures(to_host(images, "images"))
    count = len(pictures)
    for name, given in (("captions", captions), ("marked", marked)):
        if given is not None and len(given) != count:
            raise ValueError(f"{name} must be one for each of {count} images, got {len(given)}")
    if not count:
        raise ValueError("images is empty; there is nothing to draw")
    across, down = grid_of(count, columns)
    figure = new_figure(1.1 * across + 0.2, (1.28 if captions else 1.1) * down + (0.4 if title else 0.1))
    put_title(figure, title)
    lightest, darkest = min(0, pictures.min()), pictures.max()
    grid = figure.subplots(down, across, squeeze=False).flat
    for i, axes in enumerate(grid):
        if i >= count:
            axes.set_axis_off()
            continue
        axes.imshow(pictures[i], cmap="gray_r", vmin=lightest, vmax=darkest)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FRAME)
        color = VERMILLION if marked is not None and marked[i] else "black"
        axes.set_title(plain(captions[i]) if captions else "", fontsize=8, pad=3, color=color, **PLAIN)
    return figure
