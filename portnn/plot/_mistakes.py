"""The images on which the network was surest, and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isqrt, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from portnn._typing import Array, ArrayLike
from portnn.plot._figure import PLAIN, Canvas, check_labels, new_figure, to_host

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FRAME = "#c0c0c0"  # shows where an image ends


def mistakes(
    images: ArrayLike,
    y_true: ArrayLike,
    probabilities: ArrayLike,
    n: int = 25,
    *,
    labels: Sequence[object] | None = None,
) -> Figure:
    """Draw the worst mistakes: the wrong answers to which the network gave the highest probability.

    Above each image stands true → predicted class and the probability of the prediction.

    Args:
        images: of shape (samples, height, width), (samples, channels, height, width) with 1 or 3
            channels, or (samples, side²); larger values of one channel are drawn darker.
        y_true: true labels, integer or boolean, of shape (samples,).
        probabilities: of shape (samples, classes), as ``Network.predict_proba`` returns them.
        n: how many to draw at most.
        labels: the names of the classes; None numbers them from 0.

    Returns:
        The figure; without mistakes it says so.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: an argument holds no real numbers, or y_true no integers.
        ValueError: shapes do not fit together, a label is out of range, or a probability is NaN.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((2, 28, 28), dtype=np.uint8)
        >>> figure = mistakes(images, np.asarray([7, 1]), np.eye(10)[[2, 1]])
        >>> figure.axes[0].get_title()
        '7 → 2   100 %'
    """
    answers = check_answers(images, y_true, probabilities, labels)
    check_number(n)
    columns, rows = grid_of(min(n, len(answers.wrong)))
    figure = new_figure(max(1.1 * columns + 0.4, 4.0), 1.28 * rows + 0.4)
    draw_mistakes(figure, answers, n)
    return figure


class Answers(NamedTuple):
    """Images with the network's answers, checked, as NumPy arrays."""

    images: Array
    y_true: Array
    y_pred: Array
    sureness: Array
    wrong: list[int]  # indices of the mistakes, the surest first
    names: list[str]


def check_answers(
    images: ArrayLike, y_true: ArrayLike, probabilities: ArrayLike, labels: Sequence[object] | None
) -> Answers:
    """See that the arguments belong together, and find the mistakes."""
    pictures = as_pictures(to_host(images, "images"))
    true, p = to_host(y_true, "y_true"), to_host(probabilities, "probabilities")
    if true.ndim != 1 or p.ndim != 2 or not len(pictures) == len(true) == len(p) or not p.size:
        raise ValueError(
            "y_true must have shape (samples,), probabilities (samples, classes), with a row for each image: "
            f"got {true.shape}, {p.shape} and {len(pictures)} images"
        )
    if true.dtype.kind not in "iub":
        raise TypeError(f"y_true must hold integer labels, got dtype {true.dtype}; cast it with astype")
    if p.dtype.kind != "f":
        raise TypeError(f"probabilities must be floating-point, got dtype {p.dtype}; cast it with astype")
    if true.min() < 0 or true.max() >= p.shape[1]:
        raise ValueError(f"y_true must lie between 0 and {p.shape[1] - 1}, got {true.min()} to {true.max()}")
    if (p != p).any():
        raise ValueError("probabilities holds NaN; look for the step that made it, or leave samples out")
    predicted, sureness = p.argmax(axis=1), p.max(axis=1)
    order = (-sureness).argsort(kind="stable")
    wrong = order[(predicted != true)[order]].tolist()
    return Answers(pictures, true, predicted, sureness, wrong, check_labels(labels, p.shape[1]))


def check_number(n: object) -> None:
    """See that n is a positive integer."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be an integer, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"n must be 1 or more, got {n}")


def as_pictures(images: Array) -> Array:
    """Images as matplotlib draws them: (samples, height, width) or (samples, height, width, 3)."""
    if images.ndim == 2 and isqrt(images.shape[1]) ** 2 == images.shape[1]:
        side = isqrt(images.shape[1])
        return images.reshape(-1, side, side)
    if images.ndim == 4 and images.shape[1] == 1:
        return images[:, 0]
    if images.ndim == 4 and images.shape[1] == 3:
        return images.transpose(0, 2, 3, 1)
    if images.ndim != 3:
        raise ValueError(
            "images must have shape (samples, height, width), (samples, 1 or 3, height, width) or "
            f"(samples, side²), got {images.shape}"
        )
    return images


def draw_mistakes(canvas: Canvas, answers: Answers, n: int) -> None:
    """Draw a grid of at most n mistakes under a line that says how many there are."""
    shown = answers.wrong[:n]
    canvas.suptitle(_headline(len(shown), len(answers.wrong), len(answers.images)), fontsize="medium")
    if not shown:
        return
    columns, rows = grid_of(len(shown))
    grid = canvas.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    darkest = answers.images[shown].max()
    for axes, i in zip(grid.flat, shown, strict=False):
        _draw_one(axes, answers, i, darkest)


def _headline(shown: int, mistakes: int, samples: int) -> str:
    if not mistakes:
        return f"no mistakes in {_counted(samples, 'sample')}"
    first = f"{shown:,} of " if shown < mistakes else ""
    order = ", the surest first" if mistakes > 1 else ""
    return f"{first}{_counted(mistakes, 'mistake')} in {_counted(samples, 'sample')}{order}"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _draw_one(axes: Any, answers: Answers, i: int, darkest: Any) -> None:
    picture, names = answers.images[i], answers.names
    if picture.ndim == 2:
        axes.imshow(picture, cmap="gray_r", vmin=min(0, picture.min()), vmax=darkest)
    else:
        axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(FRAME)
    told = f"{names[int(answers.y_true[i])]} → {names[int(answers.y_pred[i])]}"
    axes.set_title(f"{told}   {_percent(float(answers.sureness[i]))}", fontsize=8, pad=3, **PLAIN)


def _percent(p: float) -> str:
    """A probability in per cent; nothing short of certain is called 100 %."""
    rounded = round(100 * p)
    return ">99 %" if rounded == 100 and p < 1 else f"{rounded} %"


def grid_of(count: int, columns: int | None = None) -> tuple[int, int]:
    """Columns and rows of a grid; by default it is about as wide as high."""
    columns = columns or max(1, ceil(sqrt(count)))
    return columns, max(1, ceil(count / columns))
