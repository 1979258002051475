"""Pooling: the largest element of each window, or its mean."""

from __future__ import annotations

from math import inf
from typing import Any

from array_api_compat import device

from portnn._typing import Array, Namespace
from portnn.ops._broadcasting import reshape
from portnn.ops._manipulation import expand_dims, squeeze
from portnn.ops._statistical import mean
from portnn.ops._windows import (
    Span,
    Windows,
    channels_first,
    channels_last,
    count,
    padded,
    per_axis,
    put_back,
    reach,
    spans,
    steps,
)
from portnn.tracing import check_floating, namespace, primitive

__all__ = [
    "avg_pool1d", "avg_pool2d", "global_avg_pool", "global_max_pool", "max_pool1d", "max_pool2d",
]  # fmt: skip

_FLAT: Span = (1, 1, 1, 0, 0)


def _surrounded(xp: Namespace, x: Array, windows: Windows, fill: float) -> Array:
    """(n, c, h, w) as (n, h, w, c) with what the windows reach beyond it."""
    h, w = x.shape[2:]
    x = channels_last(xp, x)
    down = padded(xp, x, 1, *reach(h, windows[0]), fill)
    return padded(xp, down, 2, *reach(w, windows[1]), fill)


def _taken(x: Array, axis: int, n: int, span: Span) -> list[Array]:
    """For each place in a window, its elements in all `n` windows along an axis."""
    k, s, d, _, _ = span
    return [x[steps(axis, i * d, n, s)] for i in range(k)]


def _places(xp: Namespace, x: Array, windows: Windows, fill: float) -> list[Array]:
    """For each place in a window, row by row, its elements in all windows."""
    oh, ow = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    rows = _taken(_surrounded(xp, x, windows, fill), 1, oh, windows[0])
    return [part for row in rows for part in _taken(row, 2, ow, windows[1])]


def _spread_out(xp: Namespace, parts: list[Array], windows: Windows, size: tuple[int, int]) -> Array:
    """The reverse of `_places`: images (n, c, *size) with the sum of what windows hold of each element."""
    (kh, *_), (kw, *_) = windows
    rows = [put_back(xp, parts[i * kw : (i + 1) * kw], 2, size[1], windows[1]) for i in range(kh)]
    return channels_first(xp, put_back(xp, rows, 1, size[0], windows[0]))


@primitive
def _max_pool(x: Array, /, *, windows: Windows) -> Array:
    xp = namespace(x)
    oh, ow = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    across = _largest(xp, _taken(_surrounded(xp, x, windows, -inf), 2, ow, windows[1]))
    return channels_first(xp, _largest(xp, _taken(across, 1, oh, windows[0])))


def _largest(xp: Namespace, parts: list[Array]) -> Array:
    top, *rest = parts
    for part in rest:
        top = xp.maximum(top, part)
    return top


def _chosen(xp: Namespace, x: Array, y: Array, windows: Windows) -> list[Array]:
    """For each place in a window, whether it is the first that has the largest element."""
    y = channels_last(xp, y)
    masks: list[Array] = []
    free: Array = None
    for part in _places(xp, x, windows, -inf):
        hit = part == y
        masks.append(hit if free is None else xp.logical_and(hit, free))
        free = xp.logical_not(hit) if free is None else xp.logical_and(free, xp.logical_not(hit))
    return masks


@primitive
def _to_largest(g: Array, x: Array, y: Array, /, *, windows: Windows) -> Array:
    """The gradient of each window goes to the first of its largest elements."""
    xp = namespace(g, x, y)
    gs = channels_last(xp, g)
    parts = [xp.where(mask, gs, 0.0) for mask in _chosen(xp, x, y, windows)]
    return _spread_out(xp, parts, windows, (x.shape[2], x.shape[3]))


@primitive
def _at_largest(h: Array, x: Array, y: Array, /, *, windows: Windows) -> Array:
    """The element of `h` where the window of `x` has the first of its largest elements."""
    xp = namespace(h, x, y)
    total: Array = None
    masks = _chosen(xp, x, y, windows)
    for mask, part in zip(masks, _places(xp, h, windows, 0.0), strict=True):
        picked = xp.where(mask, part, 0.0)
        total = picked if total is None else total + picked
    return channels_first(xp, total)


# Which element is the largest does not change with a small step: by x and y there is no second derivative.
_max_pool.vjp(lambda g, y, x, windows: _to_largest(g, x, y, windows=windows))
_to_largest.vjp(lambda h, _, g, x, y, windows: _at_largest(h, x, y, windows=windows), None, None)
_at_largest.vjp(lambda g, _, h, x, y, windows: _to_largest(g, x, y, windows=windows), None, None)


@primitive
def _avg_pool(x: Array, /, *, windows: Windows, inside: bool) -> Array:
    xp = namespace(x)
    oh, ow = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    across = _total(_taken(_surrounded(xp, x, windows, 0.0), 2, ow, windows[1]))
    total = _total(_taken(across, 1, oh, windows[0]))
    return channels_first(xp, total / _number(xp, x, windows, inside, (x.shape[2], x.shape[3])))


def _total(parts: list[Array]) -> Array:
    total, *rest = parts
    for part in rest:
        total = total + part
    return total


def _number(xp: Namespace, like: Array, windows: Windows, inside: bool, size: tuple[int, int]) -> Any:
    """How many elements each window has, those of the padding with them unless `inside`: one number or (h, w, 1)."""
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
    return _spread_out(xp, [part] * (kh * kw), windows, size)


_avg_pool.vjp(
    lambda g, y, x, windows, inside: _to_all(
        g, windows=windows, inside=inside, size=(x.shape[2], x.shape[3])
    )
)
_to_all.vjp(lambda h, y, g, windows, inside, size: _avg_pool(h, windows=windows, inside=inside))


def _windows(
    name: str, x: Array, axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[Span, ...]:
    """The windows of a pooling, which stand side by side unless there is a stride."""
    check_floating(name, x)
    if len(x.shape) != axes + 2:
        raise ValueError(f"{name}: expected x of {axes + 2} axes, got shape {tuple(x.shape)}")
    k = per_axis(name, "kernel", kernel, axes, 1)
    found = spans(name, x.shape[2:], k, k if stride is None else stride, padding, dilation)
    if not isinstance(padding, str) and any(max(span[3:]) > span[0] // 2 for span in found):
        raise ValueError(f"{name}: padding must be at most half of the kernel {k}, got {padding!r:.60}")
    return found


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
        padding: how many places outside of the signal count as -inf, at most half of the kernel; or "valid" or
            "same", as in `conv1d`.
        dilation: how far apart the elements of a window are.

    Returns:
        An array of shape (n, channels, windows). Of equal elements the first has the gradient; NaN stays NaN.

    Raises:
        TypeError: if `x` is not floating-point, or an option is not an integer.
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> max_pool1d(np.asarray([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
        [[[3.0, 2.0]]]
    """
    (span,) = _windows("max_pool1d", x, 1, kernel, stride, padding, dilation)
    return squeeze(_max_pool(expand_dims(x, axis=2), windows=(_FLAT, span)), axis=2)


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
        ValueError: if shapes and options do not fit together.

    Example:
        >>> import numpy as np
        >>> max_pool2d(np.asarray([[[[1.0, 3.0], [2.0, 0.0]]]]), 2).tolist()
        [[[[3.0]]]]
    """
    down, across = _windows("max_pool2d", x, 2, kernel, stride, padding, dilation)
    return _max_pool(x, windows=(down, across))


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
    (span,) = _windows("avg_pool1d", x, 1, kernel, stride, padding)
    inside = not count_include_pad
    return squeeze(_avg_pool(expand_dims(x, axis=2), windows=(_FLAT, span), inside=inside), axis=2)


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
    down, across = _windows("avg_pool2d", x, 2, kernel, stride, padding)
    return _avg_pool(x, windows=(down, across), inside=not count_include_pad)


def _spatial(name: str, x: Array) -> tuple[int, ...]:
    check_floating(name, x)
    if len(x.shape) < 3 or 0 in x.shape[2:]:
        raise ValueError(f"{name}: expected x of shape (n, channels, *spatial), got {tuple(x.shape)}")
    return tuple(range(2, len(x.shape)))


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
    return mean(x, axis=_spatial("global_avg_pool", x))


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
    places = xp.arange(x.shape[2], dtype=at.dtype, device=device(x))
    return places == at


_global_max.vjp(lambda g, y, x: _to_first(g, x))
_to_first.vjp(lambda h, y, g, x: _at_first(h, x), None)
_at_first.vjp(lambda g, y, h, x: _to_first(g, x), None)


def global_max_pool(x: Array, /) -> Array:
    """The largest element of each channel.

    Args:
        x: floating-point array of shape (n, channels, ...), with one or more spatial axes.

    Returns:
        An array of shape (n, channels). Of equal elements the first has the gradient; NaN stays NaN.

    Raises:
        TypeError: if `x` is not floating-point.
        ValueError: if there is no spatial axis, or an empty one.

    Example:
        >>> import numpy as np
        >>> global_max_pool(np.asarray([[[1.0, 3.0]]])).tolist()
        [[3.0]]
    """
    _spatial("global_max_pool", x)
    length = 1
    for n in x.shape[2:]:
        length *= n
    return _global_max(reshape(x, (*x.shape[:2], length)))
