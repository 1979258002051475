"""Boxes, arrows and frames of a diagram: how large each is, and how it is drawn. Lengths are inches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from portnn.plot._figure import PLAIN

__all__ = ["GAP", "Block", "Box", "Frame", "Parts", "Row", "Stack", "arrow"]

GAP = 0.42  # between boxes: room for an arrow and a shape
_WIDTH, _HEIGHT = 2.35, 0.46
_PAD, _LABEL, _DETOUR = 0.14, 0.24, 0.3
_LEARNS, _FIXED, _LINE = "#cfe3f1", "#ececec", "#5f6368"


def line(axes: Any, *points: tuple[float, float]) -> None:
    """A line through points."""
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, color=_LINE, linewidth=1.1, solid_joinstyle="round")


def arrow(axes: Any, *points: tuple[float, float], text: str = "") -> None:
    """A line through points with an arrow at its end; the text stands beside its first part."""
    line(axes, *points[:-1])
    style = {"arrowstyle": "-|>", "color": _LINE, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=points[-1], xytext=points[-2], arrowprops=style)
    if text:
        (x, y), (_, below) = points[0], points[1]
        axes.text(x + 0.07, (y + below) / 2, text, va="center", fontsize=7.5, color="#303030", **PLAIN)


class Block(ABC):
    """A part of a diagram, entered at the middle of its top and left at the middle of its bottom."""

    width: float
    height: float
    output: str

    @abstractmethod
    def draw(self, axes: Any, x: float, y: float) -> None:
        """Draw it with the middle of its top at (x, y); y grows upwards."""


@final
@dataclass
class Box(Block):
    """A layer."""

    name: str
    told: str
    output: str
    learns: bool

    width = _WIDTH
    height = _HEIGHT

    def draw(self, axes: Any, x: float, y: float) -> None:
        """A box with two lines of text."""
        from matplotlib.patches import FancyBboxPatch

        corner = (x - _WIDTH / 2 + 0.04, y - _HEIGHT + 0.04)
        axes.add_patch(
            FancyBboxPatch(
                corner,
                _WIDTH - 0.08,
                _HEIGHT - 0.08,
                boxstyle="round,pad=0.04,rounding_size=0.06",
                facecolor=_LEARNS if self.learns else _FIXED,
                edgecolor=_LINE,
                linewidth=0.9,
            )
        )
        upper = 0.15 if self.told else 0.23
        axes.text(x, y - upper, self.name, ha="center", va="center", fontsize=8.5, **PLAIN)
        if self.told:
            axes.text(x, y - 0.33, self.told, ha="center", va="center", fontsize=7, color="#303030", **PLAIN)


@final
class Stack(Block):
    """Blocks below one another."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self.width = max(block.width for block in blocks)
        self.height = sum(block.height for block in blocks) + GAP * (len(blocks) - 1)
        self.output = blocks[-1].output

    def draw(self, axes: Any, x: float, y: float) -> None:
        """Each block, and an arrow with the shape of what it hands on."""
        for i, block in enumerate(self.blocks):
            block.draw(axes, x, y)
            y -= block.height
            if i < len(self.blocks) - 1:
                arrow(axes, (x, y), (x, y - GAP), text=block.output)
                y -= GAP


@final
class Row(Block):
    """Blocks side by side, with the same input; the outputs come together."""

    def __init__(self, blocks: Sequence[Block], output: str) -> None:
        self.blocks = blocks
        self.width = sum(block.width for block in blocks) + _PAD * (len(blocks) - 1)
        self.height = max(block.height for block in blocks) + 2 * GAP
        self.output = output

    def draw(self, axes: Any, x: float, y: float) -> None:
        """Each block, with lines from the top and to the bottom."""
        left, bottom = x - self.width / 2, y - self.height
        for block in self.blocks:
            middle = left + block.width / 2
            arrow(axes, (x, y), (x, y - GAP / 2), (middle, y - GAP / 2), (middle, y - GAP))
            block.draw(axes, middle, y - GAP)
            end = y - GAP - block.height
            axes.text(
                middle + 0.07, end - 0.08, block.output, va="center", fontsize=7.5, color="#303030", **PLAIN
            )
            line(axes, (middle, end), (middle, bottom + GAP / 2), (x, bottom + GAP / 2), (x, bottom))
            left += block.width + _PAD


@final
class Parts(Block):
    """Blocks of which only the container knows how they are connected."""

    def __init__(self, blocks: Sequence[Block], output: str) -> None:
        self.blocks, self.output = blocks, output
        self.width = max(block.width for block in blocks)
        self.height = sum(block.height for block in blocks) + _PAD / 2 * (len(blocks) - 1)

    def draw(self, axes: Any, x: float, y: float) -> None:
        """Each block, without arrows."""
        for block in self.blocks:
            block.draw(axes, x, y)
            y -= block.height + _PAD / 2


@final
class Frame(Block):
    """A container around a block; perhaps with a way past it."""

    def __init__(self, name: str, inner: Block, output: str, *, shortcut: bool = False) -> None:
        self.name, self.inner, self.output, self.shortcut = name, inner, output, shortcut
        self.width = inner.width + 2 * _PAD + (2 * _DETOUR if shortcut else 0.0)
        self.height = inner.height + _LABEL + 2 * _PAD + (2 * _PAD if shortcut else 0.0)

    def draw(self, axes: Any, x: float, y: float) -> None:
        """A frame with its name, and what is inside."""
        from matplotlib.patches import Rectangle

        left, bottom = x - self.width / 2, y - self.height
        frame = Rectangle((left, bottom), self.width, self.height, fill=False, edgecolor=_LINE, linestyle=":")
        axes.add_patch(frame)
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.text(
            left + 0.07, y - 0.13, self.name, va="center", fontsize=8, color="#303030", bbox=ground, **PLAIN
        )
        lead = _PAD if self.shortcut else 0.0
        top = y - _LABEL - _PAD - lead
        end = top - self.inner.height
        if not isinstance(self.inner, Parts):
            (line if isinstance(self.inner, Row) else arrow)(axes, (x, y), (x, top))
            line(axes, (x, end), (x, bottom))
        self.inner.draw(axes, x, top)
        if self.shortcut:
            past = x + self.inner.width / 2 + _DETOUR
            begin, join = top + _PAD, end - _PAD
            arrow(axes, (x, begin), (past, begin), (past, join), (x + 0.02, join))
            axes.text(x - 0.09, join, "+", ha="right", va="center", fontsize=10)
