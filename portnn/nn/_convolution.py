"""Convolutional layers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import (
    Padding,
    PerAxis,
    check_channels,
    check_flags,
    check_padding,
    check_params,
    check_per_axis,
    check_size,
)
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer

__all__ = ["Conv1d", "Conv2d"]


@dataclass(frozen=True)
class _Conv(Layer):
    """What both have."""

    axes: ClassVar[int]

    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: int = 1
    bias: bool = True
    weight_init: Initializer = field(default_factory=initializers.he_uniform)
    bias_init: Initializer = field(default_factory=initializers.zeros)

    def __post_init__(self) -> None:
        check_flags(self)
        name = type(self).__name__
        for what in ("in_channels", "out_channels", "groups"):
            object.__setattr__(self, what, check_size(name, what, getattr(self, what)))
        for what in ("kernel_size", "stride", "dilation"):
            object.__setattr__(self, what, check_per_axis(name, what, getattr(self, what), self.axes, 1))
        object.__setattr__(self, "padding", check_padding(name, self.padding, self.axes))
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{name}: in_channels {self.in_channels} and out_channels {self.out_channels} must be "
                f"multiples of groups={self.groups}"
            )

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw ``{"weight": ..., "bias": ...}``."""
        name, each = type(self).__name__, self.in_channels // self.groups
        kernel = check_per_axis(name, "kernel_size", self.kernel_size, self.axes, 1)
        params = {"weight": self.weight_init(rng, (self.out_channels, each, *kernel), dtype)}
        if self.bias:
            params["bias"] = self.bias_init(rng, (self.out_channels,), dtype)
        return params

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Convolve `x` of shape (n, in_channels, *spatial)."""
        check_channels(type(self).__name__, x, self.in_channels, self.axes)
        check_params(type(self).__name__, params, ("weight", "bias") if self.bias else ("weight",))
        options = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        return self._convolve(x, params["weight"], params.get("bias"), **options), state

    @abstractmethod
    def _convolve(self, x: Array, w: Array, b: Array | None, **options: Any) -> Array:
        """The function of `portnn.ops`."""


@final
@dataclass(frozen=True)
class Conv1d(_Conv):
    """Convolution of signals (n, in_channels, length): a kernel slides along them.

    Parameters: ``weight`` of shape (out_channels, in_channels / groups, kernel_size), and ``bias`` of shape
    (out_channels,).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, kernels.
        kernel_size: how many neighbours a kernel sees.
        stride: how far apart the windows are.
        padding: zeros at either end: an integer, "valid" (none) or "same" (as many windows as elements,
            divided by the stride and rounded up), or a tuple with a pair.
        dilation: how far apart the elements of a window are.
        groups: into how many parts the channels are divided, each with kernels of its own.
        bias: whether there is a bias.
        weight_init: what draws the weight; by default He's uniform distribution, whose fan is
            in_channels / groups times the size of the kernel (He et al., Delving deep into rectifiers, 2015).
        bias_init: what draws the bias; by default zeros.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range, or the channels are no multiples of `groups`.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = Conv1d(2, 8, 3, padding="same")
        >>> layer.apply(layer.init(stream(0)), np.zeros((5, 2, 100), dtype=np.float32)).shape
        (5, 8, 100)
    """

    axes: ClassVar[int] = 1

    def _convolve(self, x: Array, w: Array, b: Array | None, **options: Any) -> Array:
        return ops.conv1d(x, w, b, **options)


@final
@dataclass(frozen=True)
class Conv2d(_Conv):
    """Convolution of images (n, in_channels, height, width): a kernel slides over them.

    Parameters: ``weight`` of shape (out_channels, in_channels / groups, kernel height, kernel width), and
    ``bias`` of shape (out_channels,).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, kernels.
        kernel_size: height and width of the kernel; an integer for both or a pair, as for all that follow.
        stride: how far apart the windows are.
        padding: zeros around the image: integers, "valid" (none) or "same" (as many windows as elements,
            divided by the stride and rounded up), or a pair for each axis.
        dilation: how far apart the elements of a window are.
        groups: into how many parts the channels are divided, each with kernels of its own.
        bias: whether there is a bias.
        weight_init: what draws the weight; by default He's uniform distribution, whose fan is
            in_channels / groups times the size of the kernel (He et al., Delving deep into rectifiers, 2015).
        bias_init: what draws the bias; by default zeros.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range, or the channels are no multiples of `groups`.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = Conv2d(1, 16, 5, stride=2)
        >>> layer.apply(layer.init(stream(0)), np.zeros((5, 1, 28, 28), dtype=np.float32)).shape
        (5, 16, 12, 12)
    """

    axes: ClassVar[int] = 2

    def _convolve(self, x: Array, w: Array, b: Array | None, **options: Any) -> Array:
        return ops.conv2d(x, w, b, **options)
