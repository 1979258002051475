"""What poolings have in common: the contents of windows place by place, and back."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array, Namespace
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
)  # fmt: skip
from portnn.tracing import check_floating

__all__: list[str] = []

FLAT: Span = (1, 1, 1, 0, 0)
"""The windows along the height of a signal, which is an image of height one."""


def surrounded(xp: Namespace, x: Array, windows: Windows, fill: float) -> Array:
    """(n, c, h, w) as (n, h, w, c) with what the windows reach beyond it."""
    h, w = x.shape[2:]
    x = channels_last(xp, x)
    down = padded(xp, x, 1, *reach(h, windows[0]), fill)
    return padded(xp, down, 2, *reach(w, windows[1]), fill)


def taken(x: Array, axis: int, n: int, span: Span) -> list[Array]:
    """For each place in a window, its elements in all `n` windows along an axis."""
    k, s, d, _, _ = span
    return [x[steps(axis, i * d, n, s)] for i in range(k)]


def places(xp: Namespace, x: Array, windows: Windows, fill: float) -> list[Array]:
    """For each place in a window, row by row, its elements in all windows."""
    oh, ow = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    rows = taken(surrounded(xp, x, windows, fill), 1, oh, windows[0])
    return [part for row in rows for part in taken(row, 2, ow, windows[1])]


def spread_out(xp: Namespace, parts: list[Array], windows: Windows, size: tuple[int, int]) -> Array:
    """The reverse of `places`: images (n, c, *size) with the sum of what windows hold of each element."""
    (kh, *_), (kw, *_) = windows
    rows = [put_back(xp, parts[i * kw : (i + 1) * kw], 2, size[1], windows[1]) for i in range(kh)]
    return channels_first(xp, put_back(xp, rows, 1, size[0], windows[0]))


def windows_of(
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
    for n, span in zip(x.shape[2:], found, strict=True):
        _check_contents(name, n, span)
    return found


def _check_contents(name: str, n: int, span: Span) -> None:
    """Each window has an element of the axis; if it is dilated, it can step over all of them.

    Raises:
        ValueError: if one lies in the padding altogether, which has no largest element.
    """
    k, s, d, before, _ = span
    if d == 1:  # padding is at most half of the kernel then, or made by "same"
        return
    for window in range(count(n, span)):
        if not any(before <= window * s + i * d < before + n for i in range(k)):
            raise ValueError(
                f"{name}: window {window} lies in the padding altogether: kernel {k} with dilation {d} "
                f"steps over an axis of {n}; use less dilation or padding"
            )


def spatial_axes(name: str, x: Array) -> tuple[int, ...]:
    check_floating(name, x)
    if len(x.shape) < 3 or 0 in x.shape[2:]:
        raise ValueError(f"{name}: expected x of shape (n, channels, *spatial), got {tuple(x.shape)}")
    return tuple(range(2, len(x.shape)))
