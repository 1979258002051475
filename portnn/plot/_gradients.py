"""How large the gradients of the parameters are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portnn import tree
from portnn._typing import Array, ArrayLike
from portnn.network import Network
from portnn.plot._figure import new_figure, put_title, to_host
from portnn.plot._ranges import KEY, draw_ranges, height_of, quantiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SMALL = 1e-3  # of the largest root mean square
_LARGE = 1e2
_NOTHING = 1e-30  # below, a number of a gradient counts as zero: float32 has no smaller normal squares


def gradients(network: Network, x: ArrayLike, y: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw the sizes of the gradients of each parameter, and say which vanish or explode.

    Two rules of thumb: gradients "vanish" where their root mean square is less than a thousandth of the
    largest one of the network, and "explode" where it is above 100 or not finite. (Glorot and Bengio,
    Understanding the difficulty of training deep feedforward neural networks, 2010, compare layers in this
    way.)

    Args:
        network: the network.
        x: inputs, as for `portnn.Network.fit`; a batch will do.
        y: their targets, likewise.
        title: a line above the figure.

    Returns:
        The figure: for each array of parameters the distribution of absolute values on a logarithmic axis.
        Zeros and what is not finite are left out and told beside its name.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: as `portnn.Network.fit`.
        ValueError: as `portnn.Network.fit`, or the network has no parameters.

    Example:
        >>> from portnn import nn
        >>> net = Network([nn.Linear(4, 8), nn.relu, nn.Linear(8, 3)])
        >>> figure = gradients(net, [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]], [0, 2])
        >>> figure.axes[0].get_xscale()
        'log'
    """
    found = {path: abs(to_host(g, path)) for path, g in tree.items(network.gradients(x, y)) if g.size}
    if not found:
        raise ValueError("gradients: the network has no parameters")
    sizes = {path: float((g.astype("float64") ** 2).mean() ** 0.5) for path, g in found.items()}
    largest = max([size for size in sizes.values() if size < float("inf")], default=0.0)
    verdicts = [_verdict(size, largest) for size in sizes.values()]
    names = [_told(path, g, verdict) for (path, g), verdict in zip(found.items(), verdicts, strict=True)]
    ranges = [quantiles(g[(g > _NOTHING) & (g < float("inf"))]) for g in found.values()]
    figure = new_figure(8.0, height_of(len(names)))
    put_title(figure, title)
    axes = figure.subplots()
    axes.set_xscale("log")
    draw_ranges(axes, names, ranges, [bool(verdict) for verdict in verdicts])
    axes.set_xlabel("absolute value of the gradient")
    axes.set_title(KEY, fontsize="medium")
    return figure


def _verdict(size: float, largest: float) -> str:
    if not size <= _LARGE:  # NaN as well
        return "explodes"
    return "vanishes" if size <= _SMALL * largest else ""


def _told(path: str, g: Array, verdict: str) -> str:
    """The name of a parameter, and what is to be said of it."""
    zeros = float((g <= _NOTHING).mean())
    lost = int((~(g < float("inf"))).sum())
    parts = [
        verdict,
        f"{lost:,} not finite" if lost else "",
        f"{100 * zeros:.0f} % zero" if zeros > 0.005 else "",
    ]
    told = ", ".join([part for part in parts if part])
    return f"{path}: {told}" if told else path
