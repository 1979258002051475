"""What comes out of each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portnn._typing import ArrayLike
from portnn.network import Network
from portnn.plot._figure import BLUE, VERMILLION, new_figure, put_title, to_host
from portnn.plot._ranges import KEY, draw_ranges, height_of, quantiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MANY_DEAD = 0.5  # of the units of a layer


def activations(network: Network, x: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw which values come out of each layer, and how many of its units are always zero.

    Drawn are the layers from the first that learns. Values that grow or shrink from layer to layer, or lie
    where an activation is flat, make learning slow. A unit that is zero for every sample is dead there:
    nothing is learned through it. Layers in which more than half of the units are dead stand out.

    Args:
        network: the network.
        x: inputs, as for `portnn.Network.predict`; some hundred samples will do.
        title: a line above the figure.

    Returns:
        The figure: the distribution of the values of each layer, and its share of dead units. What is not
        finite is left out and told beside the layer's name.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: as `portnn.Network.predict`.
        ValueError: as `portnn.Network.predict`.

    Example:
        >>> from portnn import nn
        >>> net = Network([nn.Linear(4, 8), nn.relu, nn.Linear(8, 3)])
        >>> figure = activations(net, [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['0 Linear(4, 8)', '1 Activation(relu)', '2 Linear(8, 3)']
    """
    outputs = {name: to_host(y, name) for name, y in _from_first(network, network.activations(x)).items()}
    names, ranges = [], []
    for name, y in outputs.items():
        finite = y[abs(y) < float("inf")]
        lost = y.size - finite.size
        names.append(f"{name}: {lost:,} not finite" if lost else name)
        ranges.append(quantiles(finite))
    dead = [float((y == 0).all(axis=0).mean()) for y in outputs.values()]
    figure = new_figure(9.0, height_of(len(names)))
    put_title(figure, title)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.4, 1))
    many = [share > _MANY_DEAD for share in dead]
    draw_ranges(left, names, ranges, many)
    left.set_xlabel("value")
    left.set_title(KEY, fontsize="medium")
    _draw_dead(right, dead, many)
    return figure


def _from_first(network: Network, outputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs from the first layer that learns; those before it are the data in another form."""
    learning = [row for row in network.survey(None).rows if row.parameters and not row.is_container]
    if not learning:
        return outputs
    first = ".".join(map(str, learning[0].path)) or "0"
    names = list(outputs)
    start = next((i for i, name in enumerate(names) if name.split(" ")[0] == first), 0)
    return {name: outputs[name] for name in names[start:]}


def _draw_dead(axes: Any, dead: list[float], many: list[bool]) -> None:
    """A bar for the dead units of each layer, with its number."""
    colors = [VERMILLION if mark else BLUE for mark in many]
    bars = axes.barh(range(len(dead)), [100 * share for share in dead], height=0.55, color=colors)
    axes.bar_label(bars, [f"{100 * share:.0f} %" if share else "" for share in dead], padding=3, fontsize=8)
    axes.set_xlim(0, 119)
    axes.set_xticks([0, 50, 100])
    axes.set_xlabel("units (%)")
    axes.set_title("always zero", fontsize="medium")
    axes.tick_params(axis="y", labelleft=False)
    axes.spines[["top", "right"]].set_visible(False)
