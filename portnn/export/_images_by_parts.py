"""Convolution and its transpose by slices and products of matrices, which runtimes have in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portnn.export._graph import Graph
from portnn.export._tensors import Length, Tensor, fixed

__all__ = ["beyond", "correlate", "padded", "spread"]


def beyond(n: int, size: int, span: Sequence[int]) -> int:
    """How far the kernels around `n` elements reach beyond a result of length `size`."""
    k, s, d, before, _ = span
    return (n - 1) * s + d * (k - 1) + 1 - before - size


def padded(graph: Graph, name: str, widths: Sequence[tuple[int, int]]) -> str:
    """Zeros around the last two axes of four; negative numbers cut off."""
    if not any(before or after for before, after in widths):
        return name
    before, after = ([0, 0, *part] for part in zip(*widths, strict=True))
    return graph.add("Pad", name, graph.ints(before + after), mode="constant")


def correlate(
    graph: Graph, y: Tensor, names: Sequence[str], weight: Sequence[int], windows: Any, groups: int
) -> str:
    """The windows as columns, for each place in the kernel a shifted image, times the weight as a matrix."""
    x, w, *bias = names
    out, c, kh, kw = weight
    x = padded(graph, x, [span[3:] for span in windows])
    (_, sh, dh, _, _), (_, sw, dw, _, _) = windows
    n, (oh, ow) = y.shape[0], fixed(y.shape[2:])
    rows = [graph.sliced(x, 2, i * dh, i * dh + (oh - 1) * sh + 1, sh) for i in range(kh)]
    parts = [graph.sliced(row, 3, j * dw, j * dw + (ow - 1) * sw + 1, sw) for row in rows for j in range(kw)]
    places = [graph.shaped(part, [n, groups, c, 1, oh * ow]) for part in parts]
    columns = graph.add("Concat", *places, axis=3)
    columns = graph.shaped(columns, [n, groups, c * kh * kw, oh * ow])
    matrix = graph.shaped(w, [groups, out // groups, c * kh * kw])
    result = graph.shaped(graph.add("MatMul", matrix, columns), y.shape)
    return graph.add("Add", result, graph.shaped(bias[0], [out, 1, 1])) if bias else result


def spread(
    graph: Graph, y: Tensor, g: Tensor, names: Sequence[str], weight: Sequence[int], windows: Any, groups: int
) -> str:
    """A correlation of the image, its pixels as far apart as the stride, with the kernel turned around."""
    image, w = names
    given, each, kh, kw = weight
    lengths, sizes = fixed(g.shape[2:]), fixed(y.shape[2:])
    shape = list(g.shape)
    for axis, length, span in zip((2, 3), lengths, windows, strict=True):
        image = _spaced(graph, image, shape, axis, length, span[1])
        shape[axis] = (length - 1) * span[1] + 1
    widths = [
        (d * (k - 1) - before, d * (k - 1) - beyond(length, size, (k, s, d, before, after)))
        for length, size, (k, s, d, before, after) in zip(lengths, sizes, windows, strict=True)
    ]
    turned = tuple([(span[0], 1, span[2], 0, 0) for span in windows])
    w = graph.sliced(graph.sliced(w, 2, None, None, -1), 3, None, None, -1)
    w = graph.shaped(w, [groups, given // groups, each, kh, kw])
    kernel = (groups * each, given // groups, kh, kw)
    w = graph.shaped(graph.transposed(w, [0, 2, 1, 3, 4]), kernel)
    return correlate(graph, y, [padded(graph, image, widths), w], kernel, turned, groups)


def _spaced(graph: Graph, name: str, shape: Sequence[Length], axis: int, length: int, step: int) -> str:
    """The elements along an axis `step` apart, with zeros between them and none behind the last."""
    if step == 1:
        return name
    before, after = shape[:axis], shape[axis + 1 :]
    pads = graph.ints([0] * (6 + axis) + [step - 1] + [0] * (3 - axis))
    wide = graph.add("Pad", graph.shaped(name, [*before, length, 1, *after]), pads, mode="constant")
    together = graph.shaped(wide, [*before, length * step, *after])
    return graph.sliced(together, axis, 0, (length - 1) * step + 1)
