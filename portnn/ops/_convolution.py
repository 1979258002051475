"""Convolution of signals and images, and its transpose, under their public names."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array
from portnn.ops._arithmetic import add
from portnn.ops._broadcasting import reshape
from portnn.ops._correlation import correlate, spread
from portnn.ops._manipulation import expand_dims, squeeze
from portnn.ops._options import refuse_complex
from portnn.ops._windows import Span, Windows, per_axis, spans
from portnn.tracing import check_floating

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]

_FLAT: Span = (1, 1, 1, 0, 0)
_LAYOUTS = {1: "(n, channels, length)", 2: "(n, channels, height, width)"}


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int] = 1,
    padding: Any = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Array:
    """Slide a kernel along signals: ``y[n, o, i] = Σ weight[o, c, a] x[n, c, stride i + dilation a -
    padding] + bias[o]``.

    The kernel is not turned around, as is the custom in neural networks.

    Args:
        x: floating-point array of shape (n, channels, length).
        weight: array of shape (out_channels, channels / groups, kernel).
        bias: array of shape (out_channels,), or None.
        stride: how far apart the windows are.
        padding: how many zeros stand in front of the signal and behind it: an integer, a tuple with a pair,
            "valid" (none) or "same" (as many windows as elements, divided by the stride and rounded up; an
            odd zero comes last).
        dilation: how far apart the elements of a window are.
        groups: into how many parts the channels are divided, each with outputs of its own.

    Returns:
        An array of shape (n, out_channels, windows).

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> x = np.asarray([[[1.0, 2.0, 4.0, 8.0]]])
        >>> conv1d(x, np.asarray([[[-1.0, 1.0]]])).tolist()
        [[[1.0, 2.0, 4.0]]]
    """
    kernel = _check("conv1d", x, weight, bias, 1, groups)
    (span,) = spans("conv1d", x.shape[2:], kernel, stride, padding, dilation)
    wide, w = expand_dims(x, axis=2), expand_dims(weight, axis=2)
    return squeeze(correlate(wide, w, bias, windows=(_FLAT, span), groups=groups), axis=2)


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, int] = 1,
    padding: Any = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Array:
    """Slide a kernel over images, as `conv1d` does along signals.

    Args:
        x: floating-point array of shape (n, channels, height, width).
        weight: array of shape (out_channels, channels / groups, kernel height, kernel width).
        bias: array of shape (out_channels,), or None.
        stride: how far apart the windows are; an integer or one for each axis.
        padding: how many zeros surround the image: an integer, one for each axis, a pair for each axis,
            "valid" or "same".
        dilation: how far apart the elements of a window are.
        groups: into how many parts the channels are divided, each with outputs of its own.

    Returns:
        An array of shape (n, out_channels, windows down, windows across).

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> edge = np.asarray([[[[-1.0, 1.0]]]])
        >>> conv2d(np.asarray([[[[0.0, 0.0, 5.0], [0.0, 5.0, 5.0]]]]), edge).tolist()
        [[[[0.0, 5.0], [5.0, 0.0]]]]
    """
    kernel = _check("conv2d", x, weight, bias, 2, groups)
    down, across = spans("conv2d", x.shape[2:], kernel, stride, padding, dilation)
    return correlate(x, weight, bias, windows=(down, across), groups=groups)


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int] = 1,
    padding: int | tuple[int] = 0,
    output_padding: int | tuple[int] = 0,
    dilation: int | tuple[int] = 1,
    groups: int = 1,
) -> Array:
    """The transpose of `conv1d` as a linear map: each element puts a kernel into the result.

    Args:
        x: floating-point array of shape (n, channels, length).
        weight: array of shape (channels, out_channels / groups, kernel).
        bias: array of shape (out_channels,), or None.
        stride: how far apart the kernels are put.
        padding: how many elements are left out at either end.
        output_padding: how many elements more there are at the end; less than the stride or the dilation.
        dilation: how far apart the elements of a kernel are.
        groups: into how many parts the channels are divided.

    Returns:
        An array of shape (n, out_channels, (length - 1) stride - 2 padding + dilation (kernel - 1)
        + output_padding + 1).

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> x = np.asarray([[[1.0, 10.0]]])
        >>> conv_transpose1d(x, np.asarray([[[1.0, 2.0, 3.0]]]), stride=2).tolist()
        [[[1.0, 2.0, 13.0, 20.0, 30.0]]]
    """
    name = "conv_transpose1d"
    kernel = _check(name, x, weight, bias, 1, groups, transposed=True)
    options = _transposed(name, x.shape[2:], kernel, stride, padding, output_padding, dilation)
    (span,), (size,) = options
    wide, w = expand_dims(x, axis=2), expand_dims(weight, axis=2)
    y = squeeze(spread(wide, w, windows=(_FLAT, span), groups=groups, size=(1, size)), axis=2)
    return y if bias is None else add(y, reshape(bias, (-1, 1)))


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Array:
    """The transpose of `conv2d` as a linear map: each pixel puts a kernel into a larger image.

    Args:
        x: floating-point array of shape (n, channels, height, width).
        weight: array of shape (channels, out_channels / groups, kernel height, kernel width).
        bias: array of shape (out_channels,), or None.
        stride: how far apart the kernels are put; an integer or one for each axis.
        padding: how many elements are left out at either end of each axis.
        output_padding: how many elements more there are at the end; less than the stride or the dilation.
        dilation: how far apart the elements of a kernel are.
        groups: into how many parts the channels are divided.

    Returns:
        An array of shape (n, out_channels, height', width'), with lengths as in `conv_transpose1d`.

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> conv_transpose2d(np.asarray([[[[3.0]]]]), np.asarray([[[[1.0, 2.0], [4.0, 8.0]]]])).tolist()
        [[[[3.0, 6.0], [12.0, 24.0]]]]
    """
    name = "conv_transpose2d"
    kernel = _check(name, x, weight, bias, 2, groups, transposed=True)
    options = _transposed(name, x.shape[2:], kernel, stride, padding, output_padding, dilation)
    (down, across), (height, width) = options
    windows: Windows = (down, across)
    y = spread(x, weight, windows=windows, groups=groups, size=(height, width))
    return y if bias is None else add(y, reshape(bias, (-1, 1, 1)))


def _check(
    name: str, x: Array, w: Array, b: Array | None, axes: int, groups: int, *, transposed: bool = False
) -> tuple[int, ...]:
    """The kernel, if the shapes of the arrays fit together."""
    check_floating(name, x)
    refuse_complex(name, weight=w, bias=b)
    (groups,) = per_axis(name, "groups", groups, 1, 1)
    if len(x.shape) != axes + 2 or len(w.shape) != axes + 2:
        raise ValueError(
            f"{name}: expected x {_LAYOUTS[axes]} and a weight of {axes + 2} axes, "
            f"got shapes {tuple(x.shape)} and {tuple(w.shape)}"
        )
    channels, given = x.shape[1], w.shape[0] if transposed else w.shape[1] * groups
    outputs = w.shape[1] * groups if transposed else w.shape[0]
    if channels != given or channels % groups or outputs % groups:
        raise ValueError(
            f"{name}: x {tuple(x.shape)} and weight {tuple(w.shape)} do not fit with groups={groups}; "
            f"expected {'(channels, out / groups' if transposed else '(out, channels / groups'}, *kernel)"
        )
    if 0 in w.shape:
        raise ValueError(f"{name}: expected a weight that is not empty, got shape {tuple(w.shape)}")
    if b is not None and tuple(b.shape) != (outputs,):
        raise ValueError(f"{name}: expected a bias of shape ({outputs},), got {tuple(b.shape)}")
    return tuple(w.shape[2:])


def _transposed(
    name: str, sizes: Any, kernel: tuple[int, ...], stride: Any, padding: Any, extra: Any, dilation: Any
) -> tuple[tuple[Span, ...], tuple[int, ...]]:
    """The windows of the convolution that this is the transpose of, and the lengths of its input."""
    axes = len(kernel)
    s, p = per_axis(name, "stride", stride, axes, 1), per_axis(name, "padding", padding, axes, 0)
    d, e = per_axis(name, "dilation", dilation, axes, 1), per_axis(name, "output_padding", extra, axes, 0)
    found, lengths = [], []
    for i, (n, k) in enumerate(zip(sizes, kernel, strict=True)):
        if e[i] >= max(s[i], d[i]):
            raise ValueError(
                f"{name}: output_padding must be less than stride or dilation, "
                f"got {e[i]} with {s[i]} and {d[i]}"
            )
        length = (n - 1) * s[i] - 2 * p[i] + d[i] * (k - 1) + e[i] + 1
        if length < 1:
            raise ValueError(f"{name}: padding {p[i]} leaves nothing of the result; use less")
        found.append((k, s[i], d[i], p[i], p[i] - e[i]))
        lengths.append(length)
    return tuple(found), tuple(lengths)
