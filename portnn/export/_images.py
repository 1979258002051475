"""Convolution, its transpose, and poolings of images.

Windows are those of `portnn.ops`: for each axis kernel, stride, dilation, the zeros in front and behind.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from portnn.export import _images_by_parts as by_parts
from portnn.export._graph import Graph
from portnn.export._tables import Table, narrow
from portnn.export._tensors import Tensor, fixed

__all__ = ["TABLE"]

Span: TypeAlias = tuple[int, int, int, int, int]
Windows: TypeAlias = tuple[Span, Span]


def _geometry(windows: Windows) -> dict[str, Any]:
    """The attributes that convolutions and poolings share."""
    kernel, strides, dilations, before, after = (list(part) for part in zip(*windows, strict=True))
    return {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": before + after}


def _correlate(
    graph: Graph, y: Tensor, x: Tensor, w: Tensor, b: Tensor | None, /, *, windows: Windows, groups: int
) -> str:
    names = [graph.of(a, y.dtype) for a in (x, w, b) if a is not None]
    if y.dtype == "float64":
        return by_parts.correlate(graph, y, names, fixed(w.shape), windows, groups)
    return graph.add("Conv", *names, group=groups, **_geometry(windows))


def _spread(
    graph: Graph, y: Tensor, g: Tensor, w: Tensor, /, *, windows: Windows, groups: int, size: tuple[int, int]
) -> str:
    names = [graph.of(a, y.dtype) for a in (g, w)]
    if y.dtype == "float64":
        return by_parts.spread(graph, y, g, names, fixed(w.shape), windows, groups)
    geometry = _geometry(windows)
    beyond = [
        by_parts.beyond(n, length, span)
        for n, length, span in zip(fixed(g.shape[2:]), size, windows, strict=True)
    ]
    # What the kernels reach beyond the result is cut off; where they do not reach its end, zeros follow.
    geometry["pads"] = [span[3] for span in windows] + [max(0, n) for n in beyond]
    name = graph.add("ConvTranspose", *names, group=groups, **geometry)
    return by_parts.padded(graph, name, [(0, max(0, -n)) for n in beyond])


def _max_pool(graph: Graph, y: Tensor, x: Tensor, /, *, windows: Windows) -> str:
    return graph.add("MaxPool", graph.of(x), **_geometry(windows))


def _avg_pool(graph: Graph, y: Tensor, x: Tensor, /, *, windows: Windows, inside: bool) -> str:
    geometry = _geometry(windows)
    return graph.add("AveragePool", graph.of(x), count_include_pad=int(not inside), **geometry)


TABLE: Table = {
    "avg_pool": narrow(_avg_pool),
    "correlate": _correlate,
    "max_pool": _max_pool,
    "spread": _spread,
}
