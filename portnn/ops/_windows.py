"""Windows that slide over images: their geometry, and how their contents are laid out for a product.

Along each axis windows are described by five integers, ``(kernel, stride, dilation, before, after)``: how
many elements a window has, how far apart windows are, how far apart the elements of one are, and how many
zeros are put in front of the axis and behind it. A one-dimensional signal is an image of height one.

Inside the functions that use these, images lie with the channels last: a window is then made of runs of
consecutive elements, and a matrix product takes it as a row. What comes out is a view with the channels in
their place, so that from layer to layer nothing has to be laid out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, TypeAlias

from array_api_compat import device

from portnn._typing import Array, Namespace
from portnn.ops._helpers import zeros_at

__all__: list[str] = []

Span: TypeAlias = tuple[int, int, int, int, int]
Windows: TypeAlias = tuple[Span, Span]

FEW = 4
"""Channels up to which windows are laid out as columns: their runs along the last axis would be too short."""


def per_axis(function: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """An integer for each axis, from one for all of them or a tuple.

    Raises:
        TypeError: if it is neither.
        ValueError: if the tuple has another length or a number is too small.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if any(isinstance(v, bool) or not hasattr(v, "__index__") for v in values):
        raise TypeError(
            f"{function}: {name} must be an integer or a tuple of {axes}, got {type(value).__name__}"
        )
    numbers = tuple([index(v) for v in values])
    if len(numbers) != axes or min(numbers) < least:
        raise ValueError(
            f"{function}: {name} must be an integer or a tuple of {axes}, at least {least}, got {value!r:.60}"
        )
    return numbers


def spans(
    function: str,
    sizes: Sequence[int],
    kernel: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
) -> tuple[Span, ...]:
    """The windows along each axis of an image of these sizes.

    Args:
        function: the name that errors give.
        sizes: the lengths of the spatial axes.
        kernel: the lengths of a window.
        stride: an integer or one for each axis.
        padding: an integer, one for each axis or a pair for each axis; "valid" is none; "same" makes as many
            windows as there are elements, divided by the stride and rounded up.
        dilation: an integer or one for each axis.

    Raises:
        TypeError: if an option is of another type.
        ValueError: if an option is out of range, or no window fits.
    """
    axes = len(sizes)
    strides = per_axis(function, "stride", stride, axes, 1)
    dilations = per_axis(function, "dilation", dilation, axes, 1)
    reaches = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    if isinstance(padding, str):
        pads = _named(function, padding, sizes, reaches, strides)
    else:
        pads = _given(function, padding, axes)
    found = tuple(
        [(k, s, d, *p) for k, s, d, p in zip(kernel, strides, dilations, pads, strict=True)],
    )
    for n, reach, (before, after) in zip(sizes, reaches, pads, strict=True):
        if n + before + after < reach:
            raise ValueError(
                f"{function}: a window of {reach} (kernel and dilation) does not fit into an axis of "
                f"{n} with padding {before} and {after}; use a smaller kernel or more padding"
            )
    return found


def _named(
    function: str, padding: str, sizes: Sequence[int], reaches: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """The padding of a word; where it is odd, the extra zero comes last, as in PyTorch and Keras."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding != "same":
        raise ValueError(f"{function}: padding must be integers, 'valid' or 'same', got {padding!r:.40}")
    totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in zip(sizes, reaches, strides, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


def _given(function: str, padding: Any, axes: int) -> list[tuple[int, int]]:
    if isinstance(padding, tuple | list) and any(isinstance(p, tuple | list) for p in padding):
        if len(padding) != axes:
            raise ValueError(
                f"{function}: padding must have a pair for each of {axes} axes, got {padding!r:.60}"
            )
        pairs = [per_axis(function, "padding", p, 2, 0) for p in padding]
        return [(pair[0], pair[1]) for pair in pairs]
    return [(p, p) for p in per_axis(function, "padding", padding, axes, 0)]


def count(size: int, span: Span) -> int:
    """How many windows there are along an axis."""
    k, s, d, before, after = span
    return (size + before + after - d * (k - 1) - 1) // s + 1


def reach(size: int, span: Span) -> tuple[int, int]:
    """How many zeros windows reach in front of an axis and behind it."""
    k, s, d, before, _ = span
    return before, max((count(size, span) - 1) * s + d * (k - 1) + 1 - size - before, 0)


def channels_last(xp: Namespace, x: Array) -> Array:
    """(n, c, h, w) as (n, h, w, c), laid out like that: no copy if it is already."""
    n, c, h, w = x.shape
    return xp.reshape(xp.reshape(xp.permute_dims(x, (0, 2, 3, 1)), (n * h * w, c)), (n, h, w, c))


def channels_first(xp: Namespace, x: Array) -> Array:
    """(n, h, w, c) seen as (n, c, h, w)."""
    return xp.permute_dims(x, (0, 3, 1, 2))


def padded(xp: Namespace, x: Array, axis: int, before: int, after: int, fill: float = 0.0) -> Array:
    """`fill` in front of an axis and behind it; negative numbers cut off."""
    if before < 0 or after < 0:
        x = x[(*[slice(None)] * axis, slice(max(-before, 0), x.shape[axis] - max(-after, 0)), ...)]

    def part(n: int) -> list[Array]:
        shape = (*x.shape[:axis], n, *x.shape[axis + 1 :])
        return [xp.full(shape, fill, dtype=x.dtype, device=device(x))] if n > 0 else []

    parts = [*part(before), x, *part(after)]
    return xp.concat(parts, axis=axis) if len(parts) > 1 else x


def steps(axis: int, start: int, n: int, step: int) -> tuple[Any, ...]:
    """The index of `n` elements along an axis, `step` apart."""
    return (*[slice(None)] * axis, slice(start, start + (n - 1) * step + 1, step), ...)


def rows_of(xp: Namespace, x: Array, windows: Windows, outputs: int) -> Array:
    """The contents of each window as a row of one of several matrices, (matrices, windows, kernel * c).

    Along a row come the vertical places of the window, in each the horizontal ones, in each the channels.
    There are as many matrices as make products with `outputs` columns fast.
    """
    n, c, h, w = x.shape
    (kh, *_), (kw, *_) = windows
    down, across = count(h, windows[0]), count(w, windows[1])
    if c <= FEW and (kh, kw) != (1, 1):
        return _columns(xp, x, windows)
    together = _windows_of_a_product(n, down, across, kh * kw * c * outputs)
    shape = (n * down * across // together, together, kh * kw * c)
    if windows == ((1, 1, 1, 0, 0), (1, 1, 1, 0, 0)):
        return xp.reshape(xp.permute_dims(x, (0, 2, 3, 1)), shape)
    return xp.reshape(_rows(xp, x, windows), shape)


_SMALL, _LEAST = 1_000_000, 16
"""Multiplications up to which OpenBLAS carries a product out without copying its factors first: a third
faster (docs/benchmarks/convolution.md); and windows below which a product is too small to pay."""


def _windows_of_a_product(n: int, down: int, across: int, each: int) -> int:
    """How many windows one product takes: some rows of an image, some images, or all."""
    limit = _SMALL // max(1, each)
    rows = [r * across for r in range(1, down + 1) if down % r == 0]
    images = [b * down * across for b in range(2, n + 1) if n % b == 0]
    fitting = [m for m in [*rows, *images] if _LEAST <= m <= limit]
    return max(fitting, default=max(1, n * down * across))


def _rows(xp: Namespace, x: Array, windows: Windows) -> Array:
    """First along the width, then along the height, so that the second time the runs are longer."""
    h, w = x.shape[2:]
    (kh, sh, dh, _, _), (kw, sw, dw, _, _) = windows
    oh, ow = count(h, windows[0]), count(w, windows[1])
    x = channels_last(xp, x)
    x = padded(xp, padded(xp, x, 1, *reach(h, windows[0])), 2, *reach(w, windows[1]))
    x = _joined(xp, [x[steps(2, j * dw, ow, sw)] for j in range(kw)], 3)
    return _joined(xp, [x[steps(1, i * dh, oh, sh)] for i in range(kh)], 3)


def _joined(xp: Namespace, parts: list[Array], axis: int) -> Array:
    return xp.concat(parts, axis=axis) if len(parts) > 1 else parts[0]


def _columns(xp: Namespace, x: Array, windows: Windows) -> Array:
    """The transpose of a matrix that has the windows as columns: each of its rows is a shifted image."""
    n, c, h, w = x.shape
    (kh, sh, dh, _, _), (kw, sw, dw, _, _) = windows
    oh, ow = count(h, windows[0]), count(w, windows[1])
    x = xp.reshape(xp.reshape(x, (n, c * h * w)), (n, c, h, w))
    x = padded(xp, padded(xp, x, 2, *reach(h, windows[0])), 3, *reach(w, windows[1]))
    rows = [x[steps(2, i * dh, oh, sh)] for i in range(kh)]
    parts = [row[steps(3, j * dw, ow, sw)] for row in rows for j in range(kw)]
    columns = xp.reshape(_joined(xp, parts, 1), (n, kh * kw * c, oh * ow))
    return xp.matrix_transpose(columns)


def interleaved(xp: Namespace, phases: list[Array], axis: int) -> Array:
    """Arrays as every first, every second, ... element of a longer one."""
    if len(phases) == 1:
        return phases[0]
    shape = phases[0].shape
    together = xp.stack(phases, axis=axis + 1)
    return xp.reshape(together, (*shape[:axis], shape[axis] * len(phases), *shape[axis + 1 :]))


def spaced(xp: Namespace, x: Array, axis: int, step: int) -> Array:
    """The elements along an axis `step` apart, with zeros between them and none behind the last."""
    if step == 1:
        return x
    n = x.shape[axis]
    wide = interleaved(xp, [x, *[zeros_at(x, tuple(x.shape))] * (step - 1)], axis)
    return padded(xp, wide, axis, 0, 1 - step) if n else wide


def put_back(xp: Namespace, parts: list[Array], axis: int, size: int, span: Span) -> Array:
    """The sum of what windows hold, each element at its place: the reverse of taking windows.

    Args:
        xp: the namespace.
        parts: for each place in a window, its elements in all windows along the axis.
        axis: the axis.
        size: how long it was.
        span: the windows along it.
    """
    k, s, d, before, _ = span
    if s > 1 and d > 1:
        parts, s = [spaced(xp, part, axis, s) for part in parts], 1
    n, slots = parts[0].shape[axis], -(-k // s)
    length = max(-(-(before + size) // s), n + (slots - 1) * d)
    phases = []
    for r in range(s):
        total: Array = None
        for m, part in enumerate(parts[r::s]):
            moved = padded(xp, part, axis, m * d, length - n - m * d)
            total = moved if total is None else total + moved
        if total is None:
            shape = parts[0].shape
            total = zeros_at(parts[0], (*shape[:axis], length, *shape[axis + 1 :]))
        phases.append(total)
    return padded(xp, interleaved(xp, phases, axis), axis, -before, before + size - length * s)
