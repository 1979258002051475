"""Larger images: zeros around them, and more pixels in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from array_api_compat import device

from portnn._typing import Array
from portnn.ops._broadcasting import broadcast_to, reshape
from portnn.ops._helpers import plain
from portnn.ops._linear_algebra import matmul, matrix_transpose
from portnn.ops._manipulation import pad as pad_axis
from portnn.ops._options import check_flag
from portnn.ops._windows import per_axis
from portnn.tracing import check_floating, namespace

__all__ = ["pad", "upsample"]


def pad(x: Array, widths: Sequence[tuple[int, int]], /) -> Array:
    """Zeros around an array.

    Args:
        x: an array.
        widths: for each axis how many zeros stand in front of it and how many behind it.

    Returns:
        An array with longer axes, of the dtype of `x`.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if there is not a pair for each axis, or a number is negative.

    Example:
        >>> import numpy as np
        >>> pad(np.asarray([[1, 2]]), [(0, 1), (1, 0)]).tolist()
        [[0, 1, 2], [0, 0, 0]]
    """
    if not hasattr(widths, "__len__") or not all(hasattr(width, "__len__") for width in widths):
        raise TypeError(f"pad: widths must be a list of pairs, one for each axis, got {widths!r:.60}")
    if len(widths) != len(x.shape):
        raise ValueError(f"pad: expected a pair for each of {len(x.shape)} axes, got {len(widths)}")
    for axis, width in enumerate(widths):
        before, after = per_axis("pad", "widths", tuple(width), 2, 0)
        if before or after:
            x = pad_axis(x, axis=axis, before=before, after=after)
    return x


def upsample(
    x: Array,
    scale: int | tuple[int, ...],
    /,
    *,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Array:
    """Signals or images with a whole number of times as many elements along each spatial axis.

    Args:
        x: floating-point array of shape (n, channels, length) or (n, channels, height, width).
        scale: how many times as many; an integer or one for each axis.
        mode: "nearest" repeats elements; "linear" (which may be called "bilinear" for images) lays straight
            lines between them. That is a product of matrices, in which 0 times NaN or infinity is NaN: one
            such element reaches its whole row and column.
        align_corners: for lines: whether the first and the last elements keep their places at the ends.
            Else an element is a cell of which the middle counts, and the outermost values go on to the edge.

    Returns:
        An array of the same number of axes.

    Raises:
        TypeError: if `x` is not floating-point, `scale` no integer, or `align_corners` not boolean.
        ValueError: if the shape or an option is not as described.

    Example:
        >>> import numpy as np
        >>> x = np.asarray([[[0.0, 4.0]]])
        >>> upsample(x, 2).tolist()
        [[[0.0, 0.0, 4.0, 4.0]]]
        >>> upsample(x, 2, mode="linear").tolist()
        [[[0.0, 1.0, 3.0, 4.0]]]
    """
    check_floating("upsample", x)
    axes = len(x.shape) - 2
    if axes not in (1, 2):
        raise ValueError(f"upsample: expected x of three or four axes, got shape {tuple(x.shape)}")
    check_flag("upsample", "align_corners", align_corners)
    scales = per_axis("upsample", "scale", scale, axes, 1)
    if mode == "nearest":
        return _repeated(x, scales)
    if mode != "linear" and (mode, axes) != ("bilinear", 2):
        raise ValueError(f"upsample: mode must be 'nearest' or 'linear', got {mode!r:.40}")
    if 0 in x.shape[2:]:
        raise ValueError(f"upsample: expected spatial axes that are not empty, got shape {tuple(x.shape)}")
    y = matmul(x, _lines(x, x.shape[-1], scales[-1], align_corners))
    if axes == 1:
        return y
    return matmul(matrix_transpose(_lines(x, x.shape[2], scales[0], align_corners)), y)


def _repeated(x: Array, scales: tuple[int, ...]) -> Array:
    lead, sizes = x.shape[:2], x.shape[2:]
    apart = [m for n in sizes for m in (n, 1)]
    stretched = [m for n, s in zip(sizes, scales, strict=True) for m in (n, s)]
    longer = [n * s for n, s in zip(sizes, scales, strict=True)]
    return reshape(broadcast_to(reshape(x, (*lead, *apart)), (*lead, *stretched)), (*lead, *longer))


def _lines(like: Array, n: int, scale: int, align_corners: bool) -> Any:
    """The matrix (n, n * scale) of a linear interpolation: a column has the shares of two neighbours."""
    length = n * scale
    matrix = [[0.0] * length for _ in range(n)]
    for i in range(length):
        if align_corners:
            place = i * (n - 1) / (length - 1) if length > 1 else 0.0
        else:
            place = min(max((i + 0.5) / scale - 0.5, 0.0), n - 1.0)
        left = min(int(place), n - 1)
        share = place - left
        matrix[left][i] += 1.0 - share
        matrix[min(left + 1, n - 1)][i] += share
    array = plain(like)
    return namespace(array).asarray(matrix, dtype=array.dtype, device=device(array))
