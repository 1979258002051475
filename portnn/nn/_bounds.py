"""Bounds of layers that come from files: of options that decide time and memory but have no tensor.

Widths, kernels and the number of layers have tensors, so a file that claims large ones is long. The number of
repetitions of a layer, and how much padding, upsampling and dilation enlarge an image, have none: a file of a
kilobyte could take all memory, or years.
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

MOST_CALLS = 10_000  # of layers in one prediction, not counting the first call of each
MOST_GROWTH = 2**24  # numbers per channel that one pixel may become: 4096 by 4096
_PROBES = (
    ((1, 1, 1), MOST_GROWTH, "one pixel"),
    ((8, 8, 1), 2**27, "8 x 8 pixels"),  # padding adds to an image, upsampling multiplies it
)
_Size = tuple[int, ...]
_WINDOWS = (AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d)


def check_bounds(layer: Layer) -> None:
    """Check how many calls a layer makes, and how much it enlarges images.

    Raises:
        ValueError: if either is too much.
    """
    calls = _calls(layer, repeated=True) - _calls(layer, repeated=False)
    if calls > MOST_CALLS:
        shown = f"{calls:,}" if calls < 2**64 else "far more"
        raise ValueError(f"Repeat: a prediction repeats {shown} layers; expected at most {MOST_CALLS:,}")
    for size, most, of in _PROBES:
        _grown(layer, size, most, of)


def _calls(layer: Layer, *, repeated: bool) -> int:
    """Count the calls in one call of a layer, itself included; without `repeated`, repeats count once."""
    times = layer.times if repeated and isinstance(layer, Repeat) else 1
    return 1 + times * sum([_calls(member, repeated=repeated) for member in layer.members])


def _grown(layer: Layer, size: _Size, most: int, of: str) -> _Size:
    """Return upper bounds of the spatial lengths of a layer's output.

    Args:
        layer: any layer.
        size: the lengths of its input.
        most: how many numbers are allowed.
        of: the original size, for the message.

    Raises:
        ValueError: if the output or an intermediate result has more.
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
        raise ValueError(f"{name} makes {shown} numbers from {of}; expected at most {most:,}")
    return size


def _axes(layer: Any, size: _Size) -> tuple[_Size, _Size]:
    """Return the spatial lengths within a layer without members, and of its output."""
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
        # The stride separates the results of neighboring pixels: a single pixel does not show it.
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
    """Return how many positions a kernel spans along each axis."""
    dilation = getattr(layer, "dilation", (1,) * len(layer.kernel_size))
    return [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation, strict=True)]


def _pads(padding: Any) -> list[int]:
    """Return how much padding is added to each axis, front and back together."""
    return [2 * p if isinstance(p, int) else sum(p) for p in padding]
