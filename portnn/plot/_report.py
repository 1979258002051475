"""One picture that tells how a network learned digits, and what it still gets wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portnn import metrics
from portnn._typing import ArrayLike
from portnn.plot._confusion import draw_confusion
from portnn.plot._figure import new_figure, put_title
from portnn.plot._history import check_history, draw_history
from portnn.plot._mistakes import check_answers, check_number, draw_mistakes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def digits_report(
    history: Mapping[str, Sequence[float]],
    images: ArrayLike,
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    n: int = 25,
    labels: Sequence[object] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the curves of training, the confusion matrix and the worst mistakes in one figure.

    Args:
        history: values per epoch, as for `history`.
        images: the test images, as for `mistakes`.
        y_true: their true labels, integer or boolean, of shape (samples,).
        probabilities: of shape (samples, classes), as ``Network.predict_proba`` returns them.
        n: how many mistakes to draw at most.
        labels: the names of the classes; None numbers them from 0.
        title: a line above the figure.

    Returns:
        The figure, 12 by 10 inches.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: as `history` and `mistakes`.
        ValueError: as `history` and `mistakes`.

    Example:
        >>> import numpy as np
        >>> images, y = np.zeros((3, 28, 28), dtype=np.uint8), np.asarray([7, 1, 0])
        >>> figure = digits_report({"loss": [2.3, 0.4]}, images, y, np.eye(10)[[2, 1, 0]])
        >>> len(figure.subfigs)
        3
    """
    panels = check_history(history)
    answers = check_answers(images, y_true, probabilities, labels)
    check_number(n)
    classes = len(answers.names)
    counts = metrics.confusion_matrix(answers.y_true, answers.y_pred, n_classes=classes)
    figure = new_figure(12.0, 10.0)
    put_title(figure, title, fontsize="x-large")
    grid = figure.add_gridspec(2, 2, height_ratios=(2, 3.6), width_ratios=(1.12, 1))
    draw_history(figure.add_subfigure(grid[0, :]), panels)
    draw_confusion(figure.add_subfigure(grid[1, 0]), counts, answers.names)
    draw_mistakes(figure.add_subfigure(grid[1, 1]), answers, n)
    return figure
