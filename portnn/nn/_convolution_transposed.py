"""Transposed convolutions: layers that make images larger."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import PerAxis, check_channels, check_flags, check_params, check_per_axis, check_size
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer

__all__ = ["ConvTranspose1d", "ConvTranspose2d"]


@dataclass(frozen=True)
class _ConvTranspose(Layer):
    """What both have."""

    axes: ClassVar[int]

    in_channels: int
    out_channels: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: PerAxis = 0
    output_padding: PerAxis = 0
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
        least = {"kernel_size": 1, "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
        for what, low in least.items():
            object.__setattr__(self, what, check_per_axis(name, what, getattr(self, what), self.axes, low))
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{name}: in_channels {self.in_channels} and out_channels {self.out_channels} must be "
                f"multiples of groups={self.groups}"
            )

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw ``{"weight": ..., "bias": ...}``, the weight as that of a convolution with the same fans."""
        name, each = type(self).__name__, self.in_channels // self.groups
        kernel = check_per_axis(name, "kernel_size", self.kernel_size, self.axes, 1)
        drawn = self.weight_init(rng, (self.out_channels, each, *kernel), dtype)
        parts = ops.reshape(drawn, (self.groups, -1, *drawn.shape[1:]))
        weight = ops.reshape(ops.moveaxis(parts, 2, 1), (self.in_channels, -1, *drawn.shape[2:]))
        params = {"weight": weight}
        if self.bias:
            params["bias"] = self.bias_init(rng, (self.out_channels,), dtype)
        return params

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Put kernels into a larger image, for `x` of shape (n, in_channels, *spatial)."""
        check_channels(type(self).__name__, x, self.in_channels, self.axes)
        check_params(type(self).__name__, params, ("weight", "bias") if self.bias else ("weight",))
        names = ("stride", "padding", "output_padding", "dilation", "groups")
        options = {name: getattr(self, name) for name in names}
        return self._convolve(x, params["weight"], params.get("bias"), **options), state

    @abstractmethod
    def _convolve(self, x: Array, w: Array, b: Array | None, **options: Any) -> Array:
        """The function of `portnn.ops`."""


@final
@dataclass(frozen=True)
class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of signals (n, in_channels, length): elements put kernels into a longer one.

    It undoes the shape of a `Conv1d` with the same options, and is its gradient.
    Parameters: ``weight`` of shape (in_channels, out_channels / groups, kernel_size), and ``bias`` of shape
    (out_channels,).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: how many elements a kernel has.
        stride: how far apart kernels are put.
        padding: how many elements are left out at either end.
        output_padding: how many elements more there are at the end.
        dilation: how far apart the elements of a kernel are.
        groups: into how many parts the channels are divided.
        bias: whether there is a bias.
        weight_init: what draws the weight; by default He's uniform distribution with the fan of in_channels
            / groups times the size of the kernel.
        bias_init: what draws the bias; by default zeros.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range, or the channels are no multiples of `groups`.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = ConvTranspose1d(8, 2, 4, stride=2, padding=1)
        >>> layer.apply(layer.init(stream(0)), np.zeros((5, 8, 50), dtype=np.float32)).shape
        (5, 2, 100)
    """

    axes: ClassVar[int] = 1

    def _convolve(self, x: Array, w: Array, b: Array | None, **options: Any) -> Array:
        return ops.conv_transpose1d(x, w, b, **options)


@final
@dataclass(frozen=True)
class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images (n, in_channels, height, width), as decoders use it.

    Each pixel puts a kernel into a larger image. It undoes the shape of a `Conv2d` with the same options, and
    is its gradient. Parameters: ``weight`` of shape (in_channels, out_channels / groups, kernel height,
    kernel width), and ``bias`` of shape (out_channels,).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel; an integer for both or a pair, as for all that follow.
        stride: how far apart kernels are put.
        padding: how many elements are left out at either end of each axis.
        output_padding: how many elements more there are at the end of each axis.
        dilation: how far apart the elements of a kernel are.
        groups: into how many parts the channels are divided.
        bias: whether there is a bias.
        weight_init: what draws the weight; by default He's uniform distribution with the fan of in_channels
            / groups times the size of the kernel.
        bias_init: what draws the bias; by default zeros.

    Raises:
        TypeError: if an option has the wrong type.
        ValueError: if a number is out of range, or the channels are no multiples of `groups`.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = ConvTranspose2d(16, 1, 4, stride=2, padding=1)
        >>> layer.apply(layer.init(stream(0)), np.zeros((5, 16, 14, 14), dtype=np.float32)).shape
        (5, 1, 28, 28)
    """

    axes: ClassVar[int] = 2

    def _convolve(self, x: Array, w: Array, b: Array | None, **options: Any) -> Array:
        return ops.conv_transpose2d(x, w, b, **options)
