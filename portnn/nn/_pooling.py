"""Pooling layers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._checks import Padding, PerAxis, check_channels, check_flags, check_padding, check_per_axis
from portnn.nn._layer import Key, Layer

__all__ = [
    "AvgPool1d", "AvgPool2d", "GlobalAvgPool1d", "GlobalAvgPool2d", "GlobalMaxPool1d", "GlobalMaxPool2d",
    "MaxPool1d", "MaxPool2d",
]  # fmt: skip


@dataclass(frozen=True)
class _Pool(Layer):
    """What pooling over windows has."""

    axes: ClassVar[int]

    kernel_size: PerAxis
    stride: PerAxis | None = None
    padding: Padding = 0

    def __post_init__(self) -> None:
        check_flags(self)
        name = type(self).__name__
        stride = self.kernel_size if self.stride is None else self.stride
        for what, value in (("kernel_size", self.kernel_size), ("stride", stride)):
            object.__setattr__(self, what, check_per_axis(name, what, value, self.axes, 1))
        object.__setattr__(self, "padding", check_padding(name, self.padding, self.axes))

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Pool `x` of shape (n, channels, *spatial)."""
        check_channels(type(self).__name__, x, None, self.axes)
        return self._pool(x), state

    @abstractmethod
    def _pool(self, x: Array) -> Array:
        """The function of `portnn.ops`."""


@dataclass(frozen=True)
class _MaxPool(_Pool):
    dilation: PerAxis = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        dilation = check_per_axis(type(self).__name__, "dilation", self.dilation, self.axes, 1)
        object.__setattr__(self, "dilation", dilation)

    def _pool(self, x: Array) -> Array:
        function: Any = ops.max_pool1d if self.axes == 1 else ops.max_pool2d
        options = {name: getattr(self, name) for name in ("stride", "padding", "dilation")}
        return function(x, self.kernel_size, **options)


@dataclass(frozen=True)
class _AvgPool(_Pool):
    count_include_pad: bool = True

    def _pool(self, x: Array) -> Array:
        function: Any = ops.avg_pool1d if self.axes == 1 else ops.avg_pool2d
        options = {name: getattr(self, name) for name in ("stride", "padding", "count_include_pad")}
        return function(x, self.kernel_size, **options)


@dataclass(frozen=True)
class _GlobalPool(Layer):
    """What pooling over everything has."""

    axes: ClassVar[int]
    largest: ClassVar[bool]

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """(n, channels, *spatial) to (n, channels)."""
        check_channels(type(self).__name__, x, None, self.axes)
        return (ops.global_max_pool(x) if self.largest else ops.global_avg_pool(x)), state


@final
@dataclass(frozen=True)
class MaxPool1d(_MaxPool):
    """The largest element of each window of signals (n, channels, length).

    Of equal elements the first has the gradient.

    Args:
        kernel_size: how many elements a window has.
        stride: how far apart windows are; by default they stand side by side.
        padding: places outside that count as -inf, at most half of the kernel; or "valid" or "same".
        dilation: how far apart the elements of a window are.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range.

    Example:
        >>> import numpy as np
        >>> MaxPool1d(2).apply({}, np.zeros((5, 8, 28))).shape
        (5, 8, 14)
    """

    axes: ClassVar[int] = 1


@final
@dataclass(frozen=True)
class MaxPool2d(_MaxPool):
    """The largest element of each window of images (n, channels, height, width).

    Of equal elements the first has the gradient.

    Args:
        kernel_size: height and width of a window; an integer for both or a pair, as for all that follow.
        stride: how far apart windows are; by default they stand side by side.
        padding: places outside that count as -inf, at most half of the kernel; or "valid" or "same".
        dilation: how far apart the elements of a window are.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range.

    Example:
        >>> import numpy as np
        >>> MaxPool2d(2).apply({}, np.zeros((5, 8, 28, 28))).shape
        (5, 8, 14, 14)
    """

    axes: ClassVar[int] = 2


@final
@dataclass(frozen=True)
class AvgPool1d(_AvgPool):
    """The mean of each window of signals (n, channels, length).

    Args:
        kernel_size: how many elements a window has.
        stride: how far apart windows are; by default they stand side by side.
        padding: zeros outside, at most half of the kernel; or "valid" or "same".
        count_include_pad: whether these zeros count among the elements of a window.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range.

    Example:
        >>> import numpy as np
        >>> AvgPool1d(2).apply({}, np.zeros((5, 8, 28))).shape
        (5, 8, 14)
    """

    axes: ClassVar[int] = 1


@final
@dataclass(frozen=True)
class AvgPool2d(_AvgPool):
    """The mean of each window of images (n, channels, height, width).

    Args:
        kernel_size: height and width of a window; an integer for both or a pair, as for all that follow.
        stride: how far apart windows are; by default they stand side by side.
        padding: zeros outside, at most half of the kernel; or "valid" or "same".
        count_include_pad: whether these zeros count among the elements of a window.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range.

    Example:
        >>> import numpy as np
        >>> AvgPool2d(2).apply({}, np.zeros((5, 8, 28, 28))).shape
        (5, 8, 14, 14)
    """

    axes: ClassVar[int] = 2


@final
@dataclass(frozen=True)
class GlobalAvgPool1d(_GlobalPool):
    """The mean of each channel of signals (n, channels, length), as (n, channels).

    Example:
        >>> import numpy as np
        >>> GlobalAvgPool1d().apply({}, np.zeros((5, 8, 28))).shape
        (5, 8)
    """

    axes: ClassVar[int] = 1
    largest: ClassVar[bool] = False


@final
@dataclass(frozen=True)
class GlobalAvgPool2d(_GlobalPool):
    """The mean of each channel of images (n, channels, height, width), as (n, channels).

    Example:
        >>> import numpy as np
        >>> GlobalAvgPool2d().apply({}, np.zeros((5, 8, 28, 28))).shape
        (5, 8)
    """

    axes: ClassVar[int] = 2
    largest: ClassVar[bool] = False


@final
@dataclass(frozen=True)
class GlobalMaxPool1d(_GlobalPool):
    """The largest element of each channel of signals (n, channels, length), as (n, channels).

    Example:
        >>> import numpy as np
        >>> GlobalMaxPool1d().apply({}, np.zeros((5, 8, 28))).shape
        (5, 8)
    """

    axes: ClassVar[int] = 1
    largest: ClassVar[bool] = True


@final
@dataclass(frozen=True)
class GlobalMaxPool2d(_GlobalPool):
    """The largest element of each channel of images (n, channels, height, width), as (n, channels).

    Example:
        >>> import numpy as np
        >>> GlobalMaxPool2d().apply({}, np.zeros((5, 8, 28, 28))).shape
        (5, 8)
    """

    axes: ClassVar[int] = 2
    largest: ClassVar[bool] = True
