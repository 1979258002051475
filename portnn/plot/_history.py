"""Loss and accuracy, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from portnn.plot._figure import BLUE, VERMILLION, Canvas, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXIS_NAMES = {
    "loss": "loss (mean per sample)",
    "accuracy": "accuracy (% of samples)",
}
_MANY_EPOCHS = 40  # beyond, dots would hide the line
_WIDE_RANGE = 30.0  # largest over smallest loss; beyond, a linear axis hides the end of training


def history(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how training went: a panel for the loss and one for the accuracy.

    Args:
        history: a value per epoch under each name. Drawn are "loss" and "accuracy", the latter as
            shares from 0 to 1, and "val_loss" and "val_accuracy", those on validation data; what is
            not there is left out, and so are other names. NaN and infinity leave a gap.

    Returns:
        The figure, 4.5 inches wide for each panel.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: history is not a mapping.
        ValueError: none of the names is there, or their values differ in number.

    Example:
        >>> figure = history({"loss": [2.3, 0.9, 0.5], "val_loss": [1.4, 0.8, 0.6]})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss (mean per sample)']
    """
    panels = check_history(history)
    figure = new_figure(4.5 * len(panels), 3.4)
    draw_history(figure, panels)
    return figure


def check_history(history: Mapping[str, Sequence[float]]) -> dict[str, dict[str, list[float]]]:
    """The curves to draw: by panel, then by kind of data."""
    if not isinstance(history, Mapping):
        raise TypeError(f"history must map names to values per epoch, got {type(history).__name__}")
    panels: dict[str, dict[str, list[float]]] = {}
    for name in _AXIS_NAMES:
        for kind, key in (("training", name), ("validation", f"val_{name}")):
            if key in history:
                panels.setdefault(name, {})[kind] = [float(value) for value in history[key]]
    lengths = {len(values) for curves in panels.values() for values in curves.values()}
    if not panels or lengths == {0}:
        known = ", ".join(map(str, list(history)[:6])) or "nothing"
        raise ValueError(f"history has no values under 'loss' or 'accuracy' to draw; it has: {known}")
    if len(lengths) > 1:
        raise ValueError(f"history must have one value per epoch under each name, got {sorted(lengths)}")
    return panels


def draw_history(canvas: Canvas, panels: dict[str, dict[str, list[float]]]) -> None:
    """Draw the panels side by side."""
    row = canvas.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, curves) in zip(row, panels.items(), strict=True):
        _draw_panel(axes, name, curves)


def _draw_panel(axes: Any, name: str, curves: dict[str, list[float]]) -> None:
    styles = {"training": (BLUE, "-", "o"), "validation": (VERMILLION, "--", "s")}
    for kind, values in curves.items():
        shown = [100 * v for v in values] if name == "accuracy" else values
        color, line, dot = styles[kind]
        marker = dot if len(values) <= _MANY_EPOCHS else ""
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, shown, color=color, linestyle=line, marker=marker, markersize=4, label=kind)
    if name == "loss" and _spans_decades(curves):
        _scale_by_decades(axes)
    axes.set_title(_last_values(name, curves), fontsize="medium")
    axes.set_xlabel("epoch")
    axes.set_ylabel(_AXIS_NAMES[name])
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _scale_by_decades(axes: Any) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(NullLocator())


def _spans_decades(curves: dict[str, list[float]]) -> bool:
    """Whether the values are positive and differ by more than a linear axis can show."""
    finite = [v for values in curves.values() for v in values if abs(v) < float("inf")]
    return bool(finite) and min(finite) > 0 and max(finite) > _WIDE_RANGE * min(finite)


def _last_values(name: str, curves: dict[str, list[float]]) -> str:
    """What most readers look for: the values after the last epoch."""
    last = {kind: values[-1] for kind, values in curves.items()}
    if name == "accuracy":
        return "last: " + ", ".join(f"{kind} {100 * value:.2f} %" for kind, value in last.items())
    return "last: " + ", ".join(f"{kind} {value:.4g}" for kind, value in last.items())
