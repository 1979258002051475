"""Which class was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from portnn._typing import Array, ArrayLike
from portnn.plot._figure import PLAIN, Canvas, check_labels, new_figure, to_host

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAMMA = 0.35  # a mistake of 1 % then has a fifth of the colour range instead of a hundredth
_DARK = 0.715  # of the colour range: there black and white text have the same contrast, 4.6
_READABLE = 30  # more classes than that leave no room for numbers
_TICKS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)


def confusion_matrix(matrix: ArrayLike, labels: Sequence[object] | None = None) -> Figure:
    """Draw a confusion matrix: counts as numbers, the share of each true class as colour.

    The colour scale is stretched at its low end (by the power 0.35), so that rare mistakes can be seen.

    Args:
        matrix: counts of shape (classes, classes), true classes in rows and predicted ones in columns,
            as `portnn.metrics.confusion_matrix` returns them; zero or more, sums of weights included.
        labels: the names of the classes; None numbers them from 0.

    Returns:
        The figure. With more than 30 classes the cells have no numbers.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: matrix holds no real numbers.
        ValueError: the matrix is not square, is empty, or has negative or non-finite entries; or the
            number of labels differs from that of the classes.

    Example:
        >>> figure = confusion_matrix([[48, 2], [1, 49]], labels=["cat", "dog"])
        >>> figure.axes[0].get_xlabel()
        'predicted class'
    """
    counts = check_matrix(matrix)
    names = check_labels(labels, counts.shape[0])
    side = max(3.6, min(0.55 * len(names) + 1.4, 16.0))
    figure = new_figure(side + 1.0, side)
    draw_confusion(figure, counts, names)
    return figure


def check_matrix(matrix: ArrayLike) -> Array:
    """The counts as a NumPy array."""
    counts = to_host(matrix, "matrix")
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.shape[0] == 0:
        raise ValueError(f"matrix must have shape (classes, classes), got {counts.shape}")
    if not (counts >= 0).all() or counts.max() == float("inf"):
        raise ValueError("matrix must hold counts, but some are negative, NaN or infinite")
    return counts


def draw_confusion(canvas: Canvas, counts: Array, names: list[str]) -> None:
    """Draw the matrix, its numbers and the scale of its colours."""
    from matplotlib.colors import PowerNorm

    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / (totals + (totals == 0))
    axes = canvas.subplots()
    norm = PowerNorm(_GAMMA, vmin=0.0, vmax=1.0)
    image = axes.imshow(shares, cmap="Blues", norm=norm)
    bar = canvas.colorbar(image, ax=axes, shrink=0.85, pad=0.02, ticks=_TICKS)
    bar.ax.set_yticklabels([f"{100 * tick:g}" for tick in _TICKS])
    bar.set_label("share of the true class (%)")
    positions = range(len(names))
    rotation = 90 if max(map(len, names)) > 3 else 0
    axes.set_xticks(positions, names, rotation=rotation, **PLAIN)
    axes.set_yticks(positions, names, **PLAIN)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(_summary(counts), fontsize="medium")
    if len(names) <= _READABLE:
        _write_counts(axes, counts, norm(shares))


def _write_counts(axes: Any, counts: Array, darkness: Array) -> None:
    """Write every count that is not zero; a zero says as much by staying blank."""
    for i, row in enumerate(counts.tolist()):
        for j, count in enumerate(row):
            if count:
                color = "white" if darkness[i, j] > _DARK else "black"
                weight = "bold" if i == j else "normal"
                text = f"{count:.4g}" if isinstance(count, float) else str(count)
                axes.text(j, i, text, ha="center", va="center", color=color, fontsize=8, fontweight=weight)


def _summary(counts: Array) -> str:
    total = counts.sum().item()
    if not total:
        return "no samples"
    right = counts.trace().item()
    return f"{100 * right / total:.2f} % right, {total - right:,g} of {total:,g} wrong"
