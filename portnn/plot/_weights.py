"""What the units of the first layer look for."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from portnn import tree
from portnn._typing import Array
from portnn.network import Network
from portnn.plot._figure import new_figure, put_title, to_host
from portnn.plot._mistakes import FRAME, check_number, grid_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def first_weights(
    network: Network, *, n: int = 64, shape: tuple[int, int] | None = None, title: str | None = None
) -> Figure:
    """Draw the weights of the first layer as images, one for each unit or filter.

    Blue weights answer to what is there, red ones to what is not; white ones do not care. All images have the
    same scale. Weights that still look like noise have learned little.

    Args:
        network: a network that begins with a linear layer of images, or with a convolution of images.
        n: how many units or filters to draw at most; of a convolution each input channel is one.
        shape: height and width of the images, for a linear layer; by default they are square.
        title: a line above the figure.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: n is no integer.
        ValueError: the network has no such layer, or the shape does not fit its inputs.

    Example:
        >>> from portnn import nn
        >>> figure = first_weights(Network([nn.Flatten(), nn.Linear(784, 10), nn.relu]))
        >>> len([axes for axes in figure.axes if axes.images])
        10
    """
    check_number(n)
    path, weight = _first(network)
    pictures = _pictures(weight, shape)
    shown = pictures[:n]
    columns, rows = grid_of(len(shown))
    figure = new_figure(max(0.75 * columns + 1.0, 4.0), max(0.75 * rows + 0.5, 1.8))
    some = f"{len(shown)} of {len(pictures)}" if len(shown) < len(pictures) else f"{len(pictures)}"
    told = f"{path}: {some} image{'s' * (len(pictures) != 1)} of {pictures.shape[1]} x {pictures.shape[2]}"
    put_title(figure, told if title is None else title, fontsize="medium")
    grid = figure.subplots(rows, columns, squeeze=False)
    finite = abs(shown[abs(shown) < float("inf")])
    limit = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, picture in zip(grid.flat, shown, strict=False):
        image = axes.imshow(picture, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FRAME)
    bar = figure.colorbar(image, ax=grid, shrink=0.8, aspect=30)
    bar.set_label("weight")
    return figure


def _first(network: Network) -> tuple[str, Array]:
    """The first array of parameters with an axis of inputs and one of outputs."""
    for path, a in tree.items(network.params):
        if len(a.shape) >= 2:
            if len(a.shape) not in (2, 4):
                break
            return path, to_host(a, path)
    raise ValueError(
        "first_weights: the network does not begin with a linear layer or a convolution of images"
    )


def _pictures(weight: Array, shape: tuple[int, int] | None) -> Array:
    """The weights as (units, height, width)."""
    if weight.ndim == 4:
        return weight.reshape(-1, *weight.shape[2:])
    inputs = weight.shape[0]
    side = isqrt(inputs)
    height, width = (side, side) if shape is None else shape
    if height * width != inputs:
        told = "shape=(height, width)" if shape is None else f"a shape of {inputs} pixels"
        raise ValueError(f"first_weights: the first layer has {inputs} inputs; give {told}, got {shape}")
    return weight.T.reshape(-1, height, width)
