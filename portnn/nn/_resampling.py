"""Layers that surround images with zeros, and that enlarge them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._checks import Padding, PerAxis, check_channels, check_flags, check_padding, check_size
from portnn.nn._layer import Key, Layer

__all__ = ["Upsample", "ZeroPad1d", "ZeroPad2d"]


@dataclass(frozen=True)
class _ZeroPad(Layer):
    """What both have."""

    axes: ClassVar[int]

    padding: Padding

    def __post_init__(self) -> None:
        name = type(self).__name__
        if isinstance(self.padding, str):
            raise TypeError(f"{name}: padding must be integers or a pair for each axis, got str")
        object.__setattr__(self, "padding", check_padding(name, self.padding, self.axes))

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Pad `x` of shape (n, channels, *spatial)."""
        check_channels(type(self).__name__, x, None, self.axes)
        each: Any = self.padding  # a tuple of numbers or pairs since __post_init__
        pairs = [(p, p) if isinstance(p, int) else p for p in each]
        return ops.pad(x, [(0, 0), (0, 0), *pairs]), state


@final
@dataclass(frozen=True)
class ZeroPad1d(_ZeroPad):
    """Zeros at the ends of signals (n, channels, length).

    Args:
        padding: how many; an integer, or a tuple with a pair of what stands in front and behind.

    Raises:
        TypeError: if it is something else.
        ValueError: if a number is negative.

    Example:
        >>> import numpy as np
        >>> ZeroPad1d(((0, 3),)).apply({}, np.zeros((5, 2, 10))).shape
        (5, 2, 13)
    """

    axes: ClassVar[int] = 1


@final
@dataclass(frozen=True)
class ZeroPad2d(_ZeroPad):
    """Zeros around images (n, channels, height, width).

    Args:
        padding: how many; an integer, one for each axis, or a pair for each: ((above, below), (left, right)).

    Raises:
        TypeError: if it is something else.
        ValueError: if a number is negative.

    Example:
        >>> import numpy as np
        >>> ZeroPad2d(2).apply({}, np.zeros((5, 1, 28, 28))).shape
        (5, 1, 32, 32)
    """

    axes: ClassVar[int] = 2


@final
@dataclass(frozen=True)
class Upsample(Layer):
    """Signals or images with a whole number of times as many elements along each spatial axis.

    Args:
        scale: how many times as many; an integer or one for each axis.
        mode: "nearest" repeats elements; "linear" (for images also "bilinear") lays straight lines between
            them.
        align_corners: for lines: whether the outermost elements keep their places at the ends, or are cells
            of which the middle counts.

    Raises:
        TypeError: if `scale` is no integer.
        ValueError: if an option is none of these.

    Example:
        >>> import numpy as np
        >>> Upsample(2).apply({}, np.zeros((5, 3, 14, 14))).shape
        (5, 3, 28, 28)
    """

    scale: PerAxis
    mode: str = "nearest"
    align_corners: bool = False

    def __post_init__(self) -> None:
        check_flags(self)
        scale = tuple(self.scale) if isinstance(self.scale, tuple | list) else (self.scale,)
        if not scale:
            raise ValueError("Upsample: scale must be an integer or one for each axis, got ()")
        sizes = tuple([check_size("Upsample", "scale", s) for s in scale])
        object.__setattr__(self, "scale", sizes if len(sizes) > 1 else sizes[0])
        if self.mode not in ("nearest", "linear", "bilinear"):
            raise ValueError(f"Upsample: mode must be 'nearest' or 'linear', got {self.mode!r:.40}")

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Enlarge `x` of shape (n, channels, *spatial)."""
        return ops.upsample(x, self.scale, mode=self.mode, align_corners=self.align_corners), state
