"""Pooling by the largest element of each window."""

from __future__ import annotations

from math import inf, prod
from typing import Any

from array_api_compat import device

from portnn._typing import Array, Namespace
from portnn.ops._broadcasting import reshape
from portnn.ops._manipulation import expand_dims, squeeze
from portnn.ops._pools import FLAT, places, spatial_axes, spread_out, surrounded, taken, windows_of
from portnn.ops._windows import Windows, channels_first, channels_last, count
from portnn.tracing import namespace, primitive

__all__ = ["global_max_pool", "max_pool1d", "max_pool2d"]


@primitive
def _max_pool(x: Array, /, *, windows: Windows) -> Array:
    xp = namespace(x)
    oh, ow = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    across = _largest(xp, taken(surrounded(xp, x, windows, -inf), 2, ow, windows[1]))
    return channels_first(xp, _largest(xp, taken(across, 1, oh, windows[0])))


def _largest(xp: Namespace, parts: list[Array]) -> Array:
    top, *rest = parts
    for part in rest:
        top = xp.maximum(top, part)
    return top


def _chosen(xp: Namespace, x: Array, y: Array, windows: Windows) -> list[Array]:
    """Return masks, one per place in a window: whether it holds the first maximum, or the first NaN."""
    y = channels_last(xp, y)
    masks: list[Array] = []
    free: Array = None
    for part in places(xp, x, windows, -inf):
        hit = xp.logical_or(part == y, part != part)  # NaN equals nothing
        masks.append(hit if free is None else xp.logical_and(hit, free))
        free = xp.logical_not(hit) if free is None else xp.logical_and(free, xp.logical_not(hit))
    return masks


@primitive
def _to_largest(g: Array, x: Array, y: Array, /, *, windows: Windows) -> Array:
    """The gradient of each window goes to the first of its largest elements, or to the first NaN."""
    xp = namespace(g, x, y)
    gs = channels_last(xp, g)
    parts = [xp.where(mask, gs, 0.0) for mask in _chosen(xp, x, y, windows)]
    return spread_out(xp, parts, windows, (x.shape[2], x.shape[3]))


@primitive
def _at_largest(h: Array, x: Array, y: Array, /, *, windows: Windows) -> Array:
    """The element of `h` where the window of `x` has the first of its largest elements."""
    xp = namespace(h, x, y)
    total: Array = None
    masks = _chosen(xp, x, y, windows)
    for mask, part in zip(masks, places(xp, h, windows, 0.0), strict=True):
        picked = xp.where(mask, part, 0.0)
        total = picked if total is None else total + picked
    return channels_first(xp, total)


# Which element is the largest does not change with a small step: by x and y there is no second derivative.
_max_pool.vjp(lambda g, y, x, windows: _to_largest(g, x, y, windows=windows))
_to_largest.vjp(lambda h, _, g, x, y, windows: _at_largest(h, x, y, windows=windows), None, None)
_at_largest.vjp(lambda g, _, h, x, y, windows: _to_largest(g, x, y, windows=windows), None, None)


def max_pool1d(
    x: Array,
    /,
    kernel: int | tuple[int],
    *,
    stride: int | tuple[int] | None = None,
    padding: Any = 0,
    dilation: int | tuple[int] = 1,
) -> Array:
    """The largest element of each window of signals.

    Args:
        x: floating-point array of shape (n, channels, length).
        kernel: how many elements a window has.
        stride: how far apart windows are; by default they stand side by side.
        padding: how many places outside of the signal count as -inf, at most half of the kernel; or "valid"
            or "same", as in `conv1d`.
        dilation: how far apart the elements of a window are.

    Returns:
        An array of shape (n, channels, windows). Of equal elements the first gets the gradient. A NaN is the
            maximum and gets the gradient.

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together, or a window has nothing but padding in it.

    Example:
        >>> import numpy as np
        >>> max_pool1d(np.asarray([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
        [[[3.0, 2.0]]]
    """
    (span,) = windows_of("max_pool1d", x, 1, kernel, stride, padding, dilation)
    return squeeze(_max_pool(expand_dims(x, axis=2), windows=(FLAT, span)), axis=2)


def max_pool2d(
    x: Array,
    /,
    kernel: int | tuple[int, int],
    *,
    stride: int | tuple[int, int] | None = None,
    padding: Any = 0,
    dilation: int | tuple[int, int] = 1,
) -> Array:
    """The largest element of each window of images; options as in `max_pool1d`, for each axis.

    Args:
        x: floating-point array of shape (n, channels, height, width).
        kernel: height and width of a window.
        stride: how far apart windows are; by default they stand side by side.
        padding: how many places around the image count as -inf, or "valid" or "same".
        dilation: how far apart the elements of a window are.

    Returns:
        An array of shape (n, channels, windows down, windows across). Of equal elements the first has the
        gradient, row by row; NaN stays NaN.

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together, or a window has nothing but padding in it.

    Example:
        >>> import numpy as np
        >>> max_pool2d(np.asarray([[[[1.0, 3.0], [2.0, 0.0]]]]), 2).tolist()
        [[[[3.0]]]]
    """
    down, across = windows_of("max_pool2d", x, 2, kernel, stride, padding, dilation)
    return _max_pool(x, windows=(down, across))


@primitive
def _global_max(x: Array, /) -> Array:
    return namespace(x).max(x, axis=2)


@primitive
def _to_first(g: Array, x: Array, /) -> Array:
    """The gradient of each channel at the place of the first of its largest elements."""
    xp = namespace(g, x)
    return xp.where(_first(xp, x), xp.expand_dims(g, axis=2), 0.0)


@primitive
def _at_first(h: Array, x: Array, /) -> Array:
    xp = namespace(h, x)
    return xp.sum(xp.where(_first(xp, x), h, 0.0), axis=2)


def _first(xp: Namespace, x: Array) -> Array:
    """Whether an element is the first of the largest of its channel."""
    at = xp.argmax(x, axis=2, keepdims=True)
    return xp.arange(x.shape[2], dtype=at.dtype, device=device(x)) == at


_global_max.vjp(lambda g, y, x: _to_first(g, x))
_to_first.vjp(lambda h, y, g, x: _at_first(h, x), None)
_at_first.vjp(lambda g, y, h, x: _to_first(g, x), None)


def global_max_pool(x: Array, /) -> Array:
    """The largest element of each channel.

    Args:
        x: floating-point array of shape (n, channels, ...), with one or more spatial axes.

    Returns:
        An array of shape (n, channels). Of equal elements the first gets the gradient. A NaN is the
            maximum and gets the gradient.

    Raises:
        TypeError: if `x` is not floating-point.
        ValueError: if there is no spatial axis, or an empty one.

    Example:
        >>> import numpy as np
        >>> global_max_pool(np.asarray([[[1.0, 3.0]]])).tolist()
        [[3.0]]
    """
    spatial_axes("global_max_pool", x)
    return _global_max(reshape(x, (*x.shape[:2], prod(x.shape[2:]))))
