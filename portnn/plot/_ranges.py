"""Distributions as bars, one below the other: from which to which value most of the numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portnn._typing import Array
from portnn.plot._figure import BLUE, PLAIN, VERMILLION, plain

__all__ = ["KEY", "draw_ranges", "height_of", "quantiles"]

_STEPS = (0.01, 0.25, 0.5, 0.75, 0.99)
KEY = "thin: 1 to 99 %, thick: 25 to 75 %, white: the median"


def height_of(rows: int) -> float:
    """Inches for so many bars, with axes."""
    return max(2.2, 0.3 * rows + 1.3)


def quantiles(values: Array) -> list[float] | None:
    """The values below which 1, 25, 50, 75 and 99 % lie; None without any."""
    flat = values.ravel()
    if not flat.size:
        return None
    ordered = flat.copy()
    ordered.sort()
    return [float(ordered[round(share * (flat.size - 1))]) for share in _STEPS]


def draw_ranges(
    axes: Any, names: Sequence[str], ranges: Sequence[list[float] | None], marked: Sequence[bool]
) -> None:
    """Draw a bar for each name, the first on top; marked ones in another colour, and hatched."""
    for i, (found, mark) in enumerate(zip(ranges, marked, strict=True)):
        if found is None:
            continue
        low, begin, middle, end, high = found
        color, hatch = (VERMILLION, "////") if mark else (BLUE, "")
        axes.plot([low, high], [i, i], color=color, linewidth=1.5, solid_capstyle="butt")
        axes.barh(i, end - begin, left=begin, height=0.55, color=color, hatch=hatch, edgecolor="white", lw=0)
        axes.plot(middle, i, marker="o", markersize=5, color="white", markeredgecolor=color)
    known = [found for found in ranges if found is not None]
    if axes.get_xscale() == "log" and known:
        axes.set_xlim(min(found[0] for found in known) / 1.5, max(found[-1] for found in known) * 1.5)
    axes.set_yticks(range(len(names)), [_short(plain(name)) for name in names], **PLAIN)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= 44 else f"{name[:41]}..."
