"""Bounds of layers that come from files: of the numbers that decide about time and memory without a tensor.

Widths, kernels and numbers of layers have tensors behind them, so a file that claims much is long. How often
a layer is repeated, and by how much padding, upsampling and dilation let an image grow, is a number alone: a
file of a kilobyte could take all memory, or years.
"""

from __future__ import annotations

from itertools import zip_longest
from math import prod
from typing import Any, cast

from portnn.nn._containers import Sequential
from portnn.nn._convolution import Conv1d, Conv2d
from portnn.nn._convolution_transposed import ConvTranspose1d, ConvTranspose2d
from portnn.nn._layer import Layer
from portnn.nn._pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from portnn.nn._resampling import Upsample, ZeroPad1d, ZeroPad2d
from portnn.nn._sharing import Repeat

__all__ = ["MOST_CALLS", "MOST_GROWTH", "check_bounds"]

MOST_CALLS = 10_000  # of layers in one prediction, besides the first time that each is called
MOST_GROWTH = 2**24  # numbers of a channel that may come of a single pixel: 4096 by 4096
_PROBES = (
    ((1, 1, 1), MOST_GROWTH, "one"),
    ((8, 8, 1), 2**27, "8 x 8"),  # what is added to an image grows less than what multiplies it
)
_Size = tuple[int, ...]
_WINDOWS = (AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d)


def check_bounds(layer: Layer) -> None:
    """A layer calls few enough others, and lets images grow little enough.

    Raises:
        ValueError: if it does not.
    """
    calls = _calls(layer, repeated=True) - _calls(layer, repeated=False)
    if calls > MOST_CALLS:
        shown = f"{calls:,}" if calls < 2**64 else "far more"
        raise ValueError(f"Repeat: a prediction repeats {shown} layers; expected at most {MOST_CALLS:,}")
    for size, most, of in _PROBES:
        _grown(layer, size, most, of)


def _calls(layer: Layer, *, repeated: bool) -> int:
    """How many calls of layers one call of it makes, with its own; what is repeated may count once."""
    times = layer.times if repeated and isinstance(layer, Repeat) else 1
    return 1 + times * sum([_calls(member, repeated=repeated) for member in layer.members])


def _grown(layer: Layer, size: _Size, most: int, of: str) -> _Size:
    """The lengths of the spatial axes behind a layer, at most.

    Args:
        layer: any layer.
        size: the lengths before it.
        most: how many numbers they may be.
        of: what they were at first, for the message.

    Raises:
        ValueError: if they are too many numbers, there or on the way.
    """
    if isinstance(layer, Sequential):
        for member in layer.members:
            size = _grown(member, size, most, of)
        return size
    if isinstance(layer, Repeat):
        for _ in range(layer.times):
            before, size = size, _grown(layer.layer, size, most, of)
            if size == before:
                break
        return size
    if layer.members:
        after = [_grown(member, size, most, of) for member in layer.members]
        return tuple([max(lengths) for lengths in zip(size, *after, strict=True)])
    inside, size = _axes(layer, size)
    if prod(inside) > most:
        shown = " x ".join([f"{n:,}" if n < 2**64 else "far more" for n in inside if n > 1])
        name = type(layer).__name__
        raise ValueError(f"{name} makes {shown} numbers of {of}; expected at most {most:,}")
    return size


def _axes(layer: Any, size: _Size) -> tuple[_Size, _Size]:
    """The lengths of the spatial axes within a layer that has no members, and behind it."""
    if isinstance(layer, Upsample):
        scale = layer.scale if isinstance(layer.scale, tuple) else (layer.scale,) * 2
        after = tuple([n * k for n, k in zip_longest(size, scale[: len(size)], fillvalue=1)])
        return after, after
    if isinstance(layer, ZeroPad1d | ZeroPad2d):
        after = tuple([n + p for n, p in zip_longest(size, _pads(layer.padding), fillvalue=0)])
        return after, after
    if isinstance(layer, ConvTranspose1d | ConvTranspose2d):
        stride, more = cast("_Size", layer.stride), cast("_Size", layer.output_padding)
        options = zip(stride, _spans(layer), more, strict=True)
        # The stride is the distance of what comes of two neighbours: a single pixel does not show it.
        after = tuple([max((n - 1) * s + d + p, n * s) for n, (s, d, p) in zip(size, options, strict=False)])
        return (after + size[len(after) :],) * 2
    if isinstance(layer, _WINDOWS):
        spans = _spans(layer)
        pads = [d - 1 for d in spans] if isinstance(layer.padding, str) else _pads(layer.padding)
        if layer.padding == "valid":
            pads = [0 for _ in spans]
        inside = tuple([n + p for n, p in zip(size, pads, strict=False)])
        steps = zip(inside, spans, cast("_Size", layer.stride), strict=True)
        after = tuple([max((n - d) // s + 1, 1) for n, d, s in steps])
        return inside + size[len(inside) :], after + size[len(after) :]
    return size, size


def _spans(layer: Any) -> list[int]:
    """How many positions a kernel reaches over, by axes."""
    dilation = getattr(layer, "dilation", (1,) * len(layer.kernel_size))
    return [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation, strict=True)]


def _pads(padding: Any) -> list[int]:
    """How much is added to each axis, in front and behind."""
    return [2 * p if isinstance(p, int) else sum(p) for p in padding]
