"""Transforms along one axis."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from portnn._typing import Array
from portnn.ops._options import check_word
from portnn.tracing import namespace, primitive

__all__ = ["Norm", "fft", "hfft", "ifft", "ihfft", "irfft", "rfft"]

Norm: TypeAlias = Literal["backward", "ortho", "forward"]


@primitive
def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The discrete Fourier transform along one axis.

    Args:
        x: complex array.
        n: number of points to transform: `x` is cut or padded with zeros; None for all.
        axis: the axis to transform.
        norm: which direction divides by the number of points.

    Returns:
        The transform, complex.

    Example:
        >>> import numpy as np
        >>> fft(np.asarray([1.0 + 0.0j, 0.0])).tolist()
        [(1+0j), (1+0j)]
    """
    check_word("fft", "norm", norm, get_args(Norm))
    return namespace(x).fft.fft(x, n=n, axis=axis, norm=norm)


@primitive
def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The inverse of `fft`.

    Args:
        x: complex array.
        n: number of points to transform: `x` is cut or padded with zeros; None for all.
        axis: the axis to transform.
        norm: which direction divides by the number of points.

    Returns:
        The inverse transform, complex.

    Example:
        >>> import numpy as np
        >>> ifft(np.asarray([1.0 + 0.0j, 1.0])).tolist()
        [(1+0j), 0j]
    """
    check_word("ifft", "norm", norm, get_args(Norm))
    return namespace(x).fft.ifft(x, n=n, axis=axis, norm=norm)


@primitive
def rfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The discrete Fourier transform of real values along one axis: its half that is not redundant.

    Args:
        x: real floating-point array.
        n: number of points to transform: `x` is cut or padded with zeros; None for all.
        axis: the axis to transform.
        norm: which direction divides by the number of points.

    Returns:
        The transform, complex, with ``n // 2 + 1`` points.

    Example:
        >>> import numpy as np
        >>> rfft(np.asarray([1.0, 0.0, 0.0])).tolist()
        [(1+0j), (1+0j)]
    """
    check_word("rfft", "norm", norm, get_args(Norm))
    return namespace(x).fft.rfft(x, n=n, axis=axis, norm=norm)


@primitive
def irfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The inverse of `rfft`.

    Args:
        x: complex array, the half of a transform.
        n: number of points of the result; None for ``2 * (m - 1)`` from m points.
        axis: the axis to transform.
        norm: which direction divides by the number of points.

    Returns:
        The inverse transform, real.

    Example:
        >>> import numpy as np
        >>> irfft(np.asarray([1.0 + 0.0j, 1.0])).tolist()
        [1.0, 0.0]
    """
    check_word("irfft", "norm", norm, get_args(Norm))
    return namespace(x).fft.irfft(x, n=n, axis=axis, norm=norm)


@primitive
def hfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The discrete Fourier transform of a signal of Hermitian symmetry, given by its half.

    Args:
        x: complex array, the half of a signal.
        n: number of points of the result; None for ``2 * (m - 1)`` from m points.
        axis: the axis to transform.
        norm: which direction divides by the number of points.

    Returns:
        The transform, real.

    Example:
        >>> import numpy as np
        >>> hfft(np.asarray([1.0 + 0.0j, 0.0])).tolist()
        [1.0, 1.0]
    """
    check_word("hfft", "norm", norm, get_args(Norm))
    return namespace(x).fft.hfft(x, n=n, axis=axis, norm=norm)


@primitive
def ihfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The inverse of `hfft`.

    Args:
        x: real floating-point array.
        n: number of points to transform: `x` is cut or padded with zeros; None for all.
        axis: the axis to transform.
        norm: which direction divides by the number of points.

    Returns:
        The half of a signal of Hermitian symmetry, complex, with ``n // 2 + 1`` points.

    Example:
        >>> import numpy as np
        >>> ihfft(np.asarray([1.0, 1.0])).tolist()
        [(1-0j), -0j]
    """
    check_word("ihfft", "norm", norm, get_args(Norm))
    return namespace(x).fft.ihfft(x, n=n, axis=axis, norm=norm)
