"""Whether a network is right as often as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from portnn._typing import Array, ArrayLike
from portnn.plot._figure import BLUE, VERMILLION, new_figure, put_title, to_host
from portnn.plot._mistakes import check_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Bins(NamedTuple):
    """Samples by how sure the network is of them: how many, how sure on average, and how many are right."""

    edges: list[float]
    counts: list[int]
    sureness: list[float]
    accuracy: list[float]


def calibration(
    y_true: ArrayLike, probabilities: ArrayLike, *, bins: int = 10, title: str | None = None
) -> Figure:
    """Draw how often a network is right against how sure it is of its answers.

    On the dashed line it is as sure as it is right; below it is too sure. The title tells the expected
    calibration error: the gap between both, averaged over the samples. (Guo, Pleiss, Sun and Weinberger, On
    calibration of modern neural networks, 2017, sections 2 and 3.)

    Args:
        y_true: labels, integer or boolean, of shape (samples,).
        probabilities: of shape (samples, classes), as `portnn.Network.predict_proba` gives them;
            or (samples,) or (samples, 1), of yes, for the answer of which 0.5 decides.
        bins: into how many equal parts sureness from 0 to 1 is divided.
        title: a line above the figure.

    Returns:
        The figure: the curve, and below how many samples each of its points stands for.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: an argument holds no numbers, y_true no labels, or bins is no integer.
        ValueError: shapes do not fit, there are no samples, or a number is no probability or label.

    Example:
        >>> figure = calibration([0, 1, 1], [[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
        >>> figure.axes[0].get_title()
        '3 samples, expected calibration error 0.433'
    """
    check_number(bins)
    sure, right = _answers(to_host(y_true, "y_true"), to_host(probabilities, "probabilities"))
    found = _binned(sure, right, bins)
    gaps = [abs(s - a) * n for s, a, n in zip(found.sureness, found.accuracy, found.counts, strict=True)]
    error = sum(gaps) / len(sure)
    figure = new_figure(4.8, 5.2)
    put_title(figure, title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_curve(above, found)
    many = f"{len(sure):,} sample{'s' * (len(sure) != 1)}"
    above.set_title(f"{many}, expected calibration error {error:.3f}", fontsize="medium")
    _draw_counts(below, found)
    return figure


def _answers(true: Array, p: Array) -> tuple[Array, Array]:
    """How sure the network is of each answer, and whether it is right."""
    if p.ndim == 2 and p.shape[1] == 1:
        p = p[:, 0]
    if true.ndim == 2 and true.shape[1] == 1:
        true = true[:, 0]
    if true.ndim != 1 or p.ndim not in (1, 2) or len(true) != len(p) or not p.size:
        raise ValueError(
            "calibration: y_true must have shape (samples,), probabilities (samples, classes) or (samples,), "
            f"got {true.shape} and {p.shape}"
        )
    if p.dtype.kind != "f" or true.dtype.kind not in "iub":
        raise TypeError(
            f"calibration: expected labels and floating-point probabilities, got {true.dtype} and {p.dtype}"
        )
    if not ((p >= 0) & (p <= 1 + 1e-4)).all():
        raise ValueError("calibration: probabilities must lie between 0 and 1; some do not")
    classes = 2 if p.ndim == 1 else p.shape[1]
    if true.min() < 0 or true.max() >= classes:
        raise ValueError(f"calibration: y_true must lie between 0 and {classes - 1}")
    if p.ndim == 1:
        yes = p > 0.5
        return abs(p - 0.5) + 0.5, yes == (true == 1)
    return p.max(axis=1), p.argmax(axis=1) == true


def _binned(sure: Array, right: Array, bins: int) -> _Bins:
    places = (sure * bins).astype("int64").clip(0, bins - 1)
    edges, counts, sureness, accuracy = [], [], [], []
    for i in range(bins):
        inside = places == i
        n = int(inside.sum())
        if n:
            edges.append(i / bins)
            counts.append(n)
            sureness.append(float(sure[inside].astype("float64").mean()))
            accuracy.append(float(right[inside].mean()))
    return _Bins([*edges, 1 / bins], counts, sureness, accuracy)


def _draw_curve(axes: Any, found: _Bins) -> None:
    axes.plot([0, 100], [0, 100], color=VERMILLION, linestyle="--", label="as sure as right")
    shown = [100 * s for s in found.sureness], [100 * a for a in found.accuracy]
    axes.plot(*shown, color=BLUE, marker="o", markersize=5, label="the network", clip_on=False)
    axes.set_ylabel("right (% of samples)")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_counts(axes: Any, found: _Bins) -> None:
    *edges, width = found.edges
    axes.bar([100 * e for e in edges], found.counts, width=100 * width * 0.94, align="edge", color=BLUE)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 10 * max(found.counts))
    ticks = sorted({1, 10 ** (len(str(max(found.counts))) - 1)})
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xlabel("how sure the network is of its answer (%)")
    axes.set_ylabel("samples")
    axes.spines[["top", "right"]].set_visible(False)
