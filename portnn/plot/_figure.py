"""What all pictures share: the figure, the arrays, the names of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from portnn._typing import Array, ArrayLike
from portnn.backend import get_backend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A Figure or a SubFigure: both make axes in the same way.
Canvas: TypeAlias = Any

# From Okabe and Ito, "Color Universal Design" (2008), table 1.
BLUE, VERMILLION = "#0072B2", "#D55E00"
PLAIN: dict[str, Any] = {"parse_math": False}  # for text that users pass: "$" is a dollar there
# Characters that no font draws, except line feeds and tabs; a lone surrogate is not valid text.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_PAD = 0.08  # inches around axes; matplotlib's own 0.04 lets labels touch the edge


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, known to no window system and to no global list."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError('pictures need matplotlib: pip install "portnn[plot]"') from error
    layout = ConstrainedLayoutEngine(w_pad=_PAD, h_pad=_PAD)
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def to_host(x: ArrayLike, name: str) -> Array:
    """An array of any library as a NumPy array."""
    try:
        found = get_backend("cpu").to_numpy(x)
    except TypeError as error:
        raise TypeError(f"{name} must be an array of real numbers: {error}"[:299]) from error
    if found.dtype.kind in "cSUMm":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {found.dtype}")
    return found


def plain(text: object) -> str:
    r"""Return a user's text, with characters that cannot be drawn escaped, such as \x1b."""
    return _INVISIBLE.sub(lambda found: ascii(found[0])[1:-1], str(text))


def put_title(canvas: Canvas, title: str | None, **more: Any) -> None:
    """Set a user's title of a figure, if there is one."""
    if title is not None:
        canvas.suptitle(plain(title), **PLAIN, **more)


def check_labels(labels: Sequence[object] | None, classes: int) -> list[str]:
    """The names of the classes, or their numbers."""
    if labels is None:
        return [str(i) for i in range(classes)]
    if len(labels) != classes:
        raise ValueError(f"labels must name {classes} classes, got {len(labels)} names")
    return [plain(label) for label in labels]
