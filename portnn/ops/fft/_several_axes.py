"""Transforms along several axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from portnn._typing import Array
from portnn.ops._options import check_word
from portnn.ops.fft._one_axis import Norm
from portnn.tracing import namespace, primitive

__all__ = ["fftn", "ifftn", "irfftn", "rfftn"]


@primitive
def fftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """The discrete Fourier transform along several axes.

    Args:
        x: complex array.
        s: number of points to transform along each axis; None as for one axis.
        axes: the axes to transform; None for all, or the last ``len(s)``.
        norm: which direction divides by the number of points.

    Returns:
        The transform, complex.

    Example:
        >>> import numpy as np
        >>> fftn(np.asarray([[1.0 + 0.0j, 0.0]])).tolist()
        [[(1+0j), (1+0j)]]
    """
    check_word("fftn", "norm", norm, get_args(Norm))
    return namespace(x).fft.fftn(x, s=s, axes=axes, norm=norm)


@primitive
def ifftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """The inverse of `fftn`.

    Args:
        x: complex array.
        s: number of points to transform along each axis; None as for one axis.
        axes: the axes to transform; None for all, or the last ``len(s)``.
        norm: which direction divides by the number of points.

    Returns:
        The inverse transform, complex.

    Example:
        >>> import numpy as np
        >>> ifftn(np.asarray([[1.0 + 0.0j, 1.0]])).tolist()
        [[(1+0j), 0j]]
    """
    check_word("ifftn", "norm", norm, get_args(Norm))
    return namespace(x).fft.ifftn(x, s=s, axes=axes, norm=norm)


@primitive
def rfftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """The discrete Fourier transform of real values along several axes, its half along the last of them.

    Args:
        x: real floating-point array.
        s: number of points to transform along each axis; None as for one axis.
        axes: the axes to transform; None for all, or the last ``len(s)``.
        norm: which direction divides by the number of points.

    Returns:
        The transform, complex.

    Example:
        >>> import numpy as np
        >>> rfftn(np.asarray([[1.0, 0.0]])).tolist()
        [[(1+0j), (1+0j)]]
    """
    check_word("rfftn", "norm", norm, get_args(Norm))
    return namespace(x).fft.rfftn(x, s=s, axes=axes, norm=norm)


@primitive
def irfftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """The inverse of `rfftn`.

    Args:
        x: complex array, the half of a transform.
        s: number of points of the result along each axis; None as for one axis.
        axes: the axes to transform; None for all, or the last ``len(s)``.
        norm: which direction divides by the number of points.

    Returns:
        The inverse transform, real.

    Example:
        >>> import numpy as np
        >>> irfftn(np.asarray([[1.0 + 0.0j, 1.0]])).tolist()
        [[1.0, 0.0]]
    """
    check_word("irfftn", "norm", norm, get_args(Norm))
    return namespace(x).fft.irfftn(x, s=s, axes=axes, norm=norm)
