"""Convolution as three linear maps, each of which is a gradient of the others.

A convolutional layer computes ``y[n, o, i] = Σ w[o, c, a] x[n, c, s i + d a - p]`` over c and a (Dumoulin and
Visin, A guide to convolution arithmetic for deep learning, 2016). It is linear in x and in w, so with ``<y,
g>`` as a function of three arrays each of these is one derivative of it:

    correlate(x, w) = y        its derivative by g
    spread(g, w)    = x̄        by x: also called transposed convolution
    overlap(x, g)   = w̄        by w

The rule of each consists of the other two, so they differentiate as often as one likes. All three are one
matrix product with the windows as rows.
"""

from __future__ import annotations

from typing import Any

from portnn._typing import Array, Namespace
from portnn.ops._affine import over_batch
from portnn.ops._broadcasting import match, reshape
from portnn.ops._linear_algebra import dot
from portnn.ops._manipulation import permute_dims
from portnn.ops._windows import (
    Windows,
    channels_first,
    channels_last,
    count,
    padded,
    rows_of,
    spaced,
)
from portnn.tracing import namespace, primitive

__all__: list[str] = []


def _product(xp: Namespace, rows: Array, w: Array, groups: int) -> Array:
    """Windows (n, m, kernel * c) times a weight (o, c / groups, kh, kw): (n, m, o)."""
    out, c, kh, kw = w.shape
    if groups == 1:
        return dot(xp, rows, xp.reshape(xp.permute_dims(w, (2, 3, 1, 0)), (kh * kw * c, out)))
    n, m, _ = rows.shape
    each = out // groups
    w = xp.permute_dims(xp.reshape(w, (groups, each, c, kh, kw)), (0, 3, 4, 2, 1))
    y = dot(xp, _by_group(xp, rows, kh * kw, groups), xp.reshape(w, (groups, kh * kw * c, each)))
    return xp.reshape(xp.permute_dims(y, (1, 0, 2)), (n, m, out))


def _by_group(xp: Namespace, rows: Array, places: int, groups: int) -> Array:
    """Windows (n, m, places * c) as (groups, n * m, places * c / groups)."""
    m, c = rows.shape[0] * rows.shape[1], rows.shape[2] // places // groups
    parts = xp.permute_dims(xp.reshape(rows, (m, places, groups, c)), (2, 0, 1, 3))
    return xp.reshape(parts, (groups, m, places * c))


@primitive
def correlate(x: Array, w: Array, b: Array | None, /, *, windows: Windows, groups: int) -> Array:
    """Images (n, c, h, w), weight (o, c / groups, kh, kw), bias (o,) or None: (n, o, windows)."""
    return _correlate_and_rows(x, w, b, windows=windows, groups=groups)[0]


@correlate.saves
def _correlate_and_rows(
    x: Array, w: Array, b: Array | None, /, *, windows: Windows, groups: int
) -> tuple[Array, Array]:
    """The windows laid out as rows serve the gradient by the weight as well."""
    xp = namespace(x, w, b)
    rows = rows_of(xp, x, windows, w.shape[0])
    y = _product(xp, rows, w, groups)
    down, across = (count(n, span) for n, span in zip(x.shape[2:], windows, strict=True))
    y = xp.reshape(y if b is None else y + b, (x.shape[0], down, across, w.shape[0]))
    return channels_first(xp, y), rows


@primitive
def spread(g: Array, w: Array, /, *, windows: Windows, groups: int, size: tuple[int, int]) -> Array:
    """The gradient by the images (n, c, *size), from that by what `correlate` returned.

    With stride one it is a correlation of `g` with the kernel turned around. With stride s the elements of an
    image fall into s phases, to each of which every s-th element of the kernel contributes: s correlations
    with smaller kernels, done as one with s times the channels (Shi et al., Is the deconvolution layer the
    same as a convolutional layer?, 2016).
    """
    xp = namespace(g, w)
    n, (out, c, kh, kw) = g.shape[0], w.shape
    gs = channels_last(xp, g)
    lengths, phases = [], []
    for axis, span in enumerate(windows):
        k, s, d, before, _ = span
        if s > 1 and d > 1:
            gs, s = spaced(xp, gs, axis + 1, s), 1
        slots = -(-k // s)
        length = -(-(before + size[axis]) // s)  # elements of each phase
        start = (slots - 1) * d
        gs = padded(xp, gs, axis + 1, start, length - gs.shape[axis + 1])
        lengths.append(length)
        phases.append((slots, s, d))
    (mh, sh, dh), (mw, sw, dw) = phases
    kernel = xp.reshape(w, (groups, out // groups, c, kh, kw))
    kernel = padded(xp, padded(xp, kernel, 3, 0, mh * sh - kh), 4, 0, mw * sw - kw)
    kernel = xp.reshape(kernel, (groups, out // groups, c, mh, sh, mw, sw))
    kernel = xp.flip(xp.permute_dims(kernel, (0, 4, 6, 2, 1, 3, 5)), axis=(5, 6))
    kernel = xp.reshape(kernel, (groups * sh * sw * c, out // groups, mh, mw))
    turned: Windows = ((mh, 1, dh, 0, 0), (mw, 1, dw, 0, 0))
    rows = rows_of(xp, channels_first(xp, gs), turned, kernel.shape[0])
    z = xp.reshape(_product(xp, rows, kernel, groups), (n, *lengths, groups, sh, sw, c))
    z = xp.permute_dims(z, (0, 1, 4, 2, 5, 3, 6))
    x = xp.reshape(z, (n, lengths[0] * sh, lengths[1] * sw, groups * c))
    for axis, span in enumerate(windows):
        x = padded(xp, x, axis + 1, -span[3], span[3] + size[axis] - x.shape[axis + 1])
    return channels_first(xp, x)


@primitive
def overlap(x: Array, g: Array, /, *, windows: Windows, groups: int, rows: Array | None = None) -> Array:
    """The gradient by the weight; `rows`, the windows of `x`, if they are there already."""
    xp = namespace(x, g)
    rows = rows_of(xp, x, windows, g.shape[1]) if rows is None else rows
    n, out, oh, ow = g.shape
    (kh, *_), (kw, *_) = windows
    c = x.shape[1] // groups
    gs = xp.reshape(xp.permute_dims(g, (0, 2, 3, 1)), (n, oh * ow, out))
    if groups == 1:
        w = _summed_products(xp, gs, rows)
    else:
        parts = xp.permute_dims(xp.reshape(gs, (n * oh * ow, groups, out // groups)), (1, 2, 0))
        w = dot(xp, parts, _by_group(xp, rows, kh * kw, groups))
    return channels_first(xp, xp.reshape(w, (out, kh, kw, c)))


_TOGETHER = 256
"""Windows from which on a product of its own pays for an image: its result is as large as the weight."""


def _summed_products(xp: Namespace, gs: Array, rows: Array) -> Array:
    """``Σ gᵀ rows`` over the images, by products of one or more images: (o, kernel * c)."""
    n, m, out = gs.shape
    images = next((b for b in range(1, n + 1) if n % b == 0 and b * m >= _TOGETHER), max(n, 1))
    shape = (n // images, images * m)
    gs, rows = xp.reshape(gs, (*shape, out)), xp.reshape(rows, (*shape, rows.shape[2]))
    return xp.sum(dot(xp, xp.matrix_transpose(gs), rows), axis=0)


def bias_gradient(g: Array) -> Array:
    """The sum of the gradient over all but the channels."""
    return over_batch(reshape(permute_dims(g, (0, 2, 3, 1)), (-1, g.shape[1])))


def _size(x: Array) -> tuple[int, int]:
    return x.shape[2], x.shape[3]


def _options(windows: Windows, groups: int) -> dict[str, Any]:
    return {"windows": windows, "groups": groups}


correlate.vjp(
    lambda g, y, x, w, b, windows, groups, saved=None: match(
        spread(g, w, windows=windows, groups=groups, size=_size(x)), x
    ),
    lambda g, y, x, w, b, windows, groups, saved=None: match(
        overlap(x, g, windows=windows, groups=groups, rows=saved), w
    ),
    lambda g, y, x, w, b, **_: match(bias_gradient(g), b),
)
spread.vjp(
    lambda h, y, g, w, windows, groups, size: match(correlate(h, w, None, windows=windows, groups=groups), g),
    lambda h, y, g, w, windows, groups, size: match(overlap(h, g, windows=windows, groups=groups), w),
)
overlap.vjp(
    lambda h, y, x, g, windows, groups, rows=None: match(
        spread(g, h, windows=windows, groups=groups, size=_size(x)), x
    ),
    lambda h, y, x, g, windows, groups, rows=None: match(
        correlate(x, h, None, windows=windows, groups=groups), g
    ),
)
