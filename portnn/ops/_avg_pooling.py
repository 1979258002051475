"""Pooling by the mean of each window."""

from __future__ import annotations

from typing import Any

from array_api_compat import device

from portnn._typing import Array, Namespace
from portnn.ops._half import in_float32
from portnn.ops._manipulation import expand_dims, squeeze
from portnn.ops._options import check_flag
from portnn.ops._pools import FLAT, spatial_axes, spread_out, surrounded, taken, windows_of
from portnn.ops._statistical import mean
from portnn.ops._windows import Windows, channels_first, channels_last, count
from portnn.tracing import namespace, primitive

__all__ = ["avg_pool1d", "avg_pool2d", "global_avg_pool"]


@primitive
def _avg_pool(x: Array, /, *, windows: Windows, inside: bool) -> Array:
    xp = namespace(x)
    oh, ow = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    across = _total(taken(surrounded(xp, x, windows, 0.0), 2, ow, windows[1]))
    total = _total(taken(across, 1, oh, windows[0]))
    return channels_first(xp, total / _number(xp, x, windows, inside, (x.shape[2], x.shape[3])))


def _total(parts: list[Array]) -> Array:
    total, *rest = parts
    for part in rest:
        total = total + part
    return total


def _number(xp: Namespace, like: Array, windows: Windows, inside: bool, size: tuple[int, int]) -> Any:
    """How many elements each window has: one number, or `inside` the image for each (h, w, 1)."""
    (kh, *_), (kw, *_) = windows
    if not inside:
        return float(kh * kw)
    down, across = (
        [
            sum(0 <= i * s + a * d - before < n for a in range(k))
            for i in range(count(n, (k, s, d, before, after)))
        ]
        for n, (k, s, d, before, after) in zip(size, windows, strict=True)
    )
    numbers = [[[float(max(1, a * b))] for b in across] for a in down]
    return xp.asarray(numbers, dtype=like.dtype, device=device(like))


@primitive
def _to_all(g: Array, /, *, windows: Windows, inside: bool, size: tuple[int, int]) -> Array:
    """The gradient of each window goes to its elements in equal parts."""
    xp = namespace(g)
    part = channels_last(xp, g) / _number(xp, g, windows, inside, size)
    (kh, *_), (kw, *_) = windows
    return spread_out(xp, [part] * (kh * kw), windows, size)


_avg_pool.vjp(
    lambda g, y, x, windows, inside: _to_all(g, windows=windows, inside=inside, size=(x.shape[2], x.shape[3]))
)
_to_all.vjp(lambda h, y, g, windows, inside, size: _avg_pool(h, windows=windows, inside=inside))


@in_float32
def avg_pool1d(
    x: Array,
    /,
    kernel: int | tuple[int],
    *,
    stride: int | tuple[int] | None = None,
    padding: Any = 0,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window of signals.

    Args:
        x: floating-point array of shape (n, channels, length).
        kernel: how many elements a window has.
        stride: how far apart windows are; by default they stand side by side.
        padding: how many zeros stand at either end, at most half of the kernel; or "valid" or "same".
        count_include_pad: whether these zeros count among the elements of a window.

    Returns:
        An array of shape (n, channels, windows).

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> avg_pool1d(np.asarray([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
        [[[2.0, 1.0]]]
    """
    (span,) = windows_of("avg_pool1d", x, 1, kernel, stride, padding)
    inside = not check_flag("avg_pool1d", "count_include_pad", count_include_pad)
    return squeeze(_avg_pool(expand_dims(x, axis=2), windows=(FLAT, span), inside=inside), axis=2)


@in_float32
def avg_pool2d(
    x: Array,
    /,
    kernel: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Any = 0,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window of images; options as in `avg_pool1d`, for each axis.

    Args:
        x: floating-point array of shape (n, channels, height, width).
        kernel: height and width of a window.
        stride: how far apart windows are; by default they stand side by side.
        padding: how many zeros surround the image, or "valid" or "same".
        count_include_pad: whether these zeros count among the elements of a window.

    Returns:
        An array of shape (n, channels, windows down, windows across).

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> avg_pool2d(np.asarray([[[[1.0, 3.0], [2.0, 0.0]]]]), 2).tolist()
        [[[[1.5]]]]
    """
    down, across = windows_of("avg_pool2d", x, 2, kernel, stride, padding)
    inside = not check_flag("avg_pool2d", "count_include_pad", count_include_pad)
    return _avg_pool(x, windows=(down, across), inside=inside)


@in_float32
def global_avg_pool(x: Array, /) -> Array:
    """The mean of each channel.

    Args:
        x: floating-point array of shape (n, channels, ...), with one or more spatial axes.

    Returns:
        An array of shape (n, channels).

    Raises:
        TypeError: if `x` is not floating-point.
        ValueError: if there is no spatial axis, or an empty one.

    Example:
        >>> import numpy as np
        >>> global_avg_pool(np.asarray([[[1.0, 3.0]]])).tolist()
        [[2.0]]
    """
    return mean(x, axis=spatial_axes("global_avg_pool", x))
