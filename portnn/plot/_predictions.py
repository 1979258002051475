"""Predicted values beside true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portnn import metrics
from portnn._typing import Array, ArrayLike
from portnn.plot._figure import BLUE, PLAIN, VERMILLION, new_figure, plain, put_title, to_host

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FEW = 500  # points up to which each is drawn boldly


def predictions(y_true: ArrayLike, y_pred: ArrayLike, *, unit: str = "", title: str | None = None) -> Figure:
    """Draw predicted against true values, and how often which error is made.

    Args:
        y_true: true values, of shape (samples,) or (samples, 1).
        y_pred: predicted values, of the same shape.
        unit: the unit of both, for the axes.
        title: a line above the figure.

    Returns:
        The figure: a scatter plot with the line on which predictions are right, and a histogram of
        prediction minus truth.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: an argument holds no real numbers.
        ValueError: shapes differ, there are fewer than two samples, or values are not finite.

    Example:
        >>> figure = predictions([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], unit="m")
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['true (m)', 'prediction minus truth (m)']
    """
    true, predicted = _column(y_true, "y_true"), _column(y_pred, "y_pred")
    error = float(metrics.root_mean_squared_error(true, predicted))
    share = float(metrics.r2(true, predicted))
    figure = new_figure(9.0, 4.4)
    put_title(figure, title)
    left, right = figure.subplots(1, 2)
    _draw_scatter(left, true, predicted, unit)
    left.set_title(f"{len(true):,} samples, R² {share:.3f}", fontsize="medium")
    _draw_errors(right, predicted - true, error, unit)
    return figure


def _column(y: ArrayLike, name: str) -> Array:
    values = to_host(y, name).astype("float64")
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _with_unit(text: str, unit: str) -> str:
    return f"{text} ({plain(unit)})" if unit else text


def _draw_scatter(axes: Any, true: Array, predicted: Array, unit: str) -> None:
    few = len(true) <= _FEW
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axes.scatter(true, predicted, s=12 if few else 3, alpha=0.6 if few else 0.2, color=BLUE, linewidths=0)
    axes.plot(ends, ends, color=VERMILLION, linestyle="--", label="predicted = true")
    axes.set_xlabel(_with_unit("true", unit), **PLAIN)
    axes.set_ylabel(_with_unit("predicted", unit), **PLAIN)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_errors(axes: Any, errors: Array, rmse: float, unit: str) -> None:
    axes.hist(errors, bins=60, color=BLUE)
    axes.axvline(0.0, color=VERMILLION, linestyle="--")
    for side in (-rmse, rmse):
        axes.axvline(side, color=VERMILLION, linestyle=":")
    told = f"root mean squared error {rmse:.3g} {plain(unit)}, dotted".replace(" ,", ",")
    axes.set_title(told, fontsize="medium", **PLAIN)
    axes.set_xlabel(_with_unit("prediction minus truth", unit), **PLAIN)
    axes.set_ylabel("samples")
    axes.spines[["top", "right"]].set_visible(False)
