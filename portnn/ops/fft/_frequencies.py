"""Frequencies and their order, which has a derivative."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array, Axis, Device, DType
from portnn.ops._creation import creator_like
from portnn.ops._helpers import normalize_axes
from portnn.ops._options import check_number, check_whole
from portnn.tracing import namespace, primitive

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def fftfreq(
    n: int, /, *, d: float = 1.0, dtype: DType | str | None = None, like: Any, device: Device | None = None
) -> Array:
    """The frequencies of the points of `fft`.

    Args:
        n: number of points of the signal.
        d: time between two points.
        dtype: a real floating-point dtype or its name; None for the library's default.
        like: an array or backend whose library and device it is made on.
        device: another device of that library.

    Returns:
        The frequencies, in cycles per unit of `d`, of shape (n,).

    Example:
        >>> import numpy as np
        >>> fftfreq(4, dtype="float64", like=np.ones(1)).tolist()
        [0.0, 0.25, -0.5, -0.25]
    """
    n, d = check_whole("fftfreq", "n", n, 1), check_number("fftfreq", "d", d)
    if d == 0:
        raise ValueError("fftfreq: d must not be 0")
    create, options = creator_like("fft.fftfreq", like, dtype, device)
    return create(n, d=d, **options)


def rfftfreq(
    n: int, /, *, d: float = 1.0, dtype: DType | str | None = None, like: Any, device: Device | None = None
) -> Array:
    """The frequencies of the points of `rfft`.

    Args:
        n: number of points of the signal.
        d: time between two points.
        dtype: a real floating-point dtype or its name; None for the library's default.
        like: an array or backend whose library and device it is made on.
        device: another device of that library.

    Returns:
        The frequencies, in cycles per unit of `d`, of shape (n // 2 + 1,).

    Example:
        >>> import numpy as np
        >>> rfftfreq(4, dtype="float64", like=np.ones(1)).tolist()
        [0.0, 0.25, 0.5]
    """
    n, d = check_whole("rfftfreq", "n", n, 1), check_number("rfftfreq", "d", d)
    if d == 0:
        raise ValueError("rfftfreq: d must not be 0")
    create, options = creator_like("fft.rfftfreq", like, dtype, device)
    return create(n, d=d, **options)


def _fftshift_rule(g: Array, y: Array, x: Array, axes: Axis = None) -> Array:
    return ifftshift(g, axes=axes)


@primitive
def fftshift(x: Array, /, *, axes: Axis = None) -> Array:
    """Move the frequency zero to the middle.

    Args:
        x: floating-point array, a transform.
        axes: the axes to move along; None for all.

    Returns:
        The same values in another order.

    Example:
        >>> import numpy as np
        >>> fftshift(np.asarray([0.0, 1.0, -1.0])).tolist()
        [-1.0, 0.0, 1.0]
    """
    normalize_axes(axes, len(x.shape))
    return namespace(x).fft.fftshift(x, axes=axes)


fftshift.vjp(_fftshift_rule)


def _ifftshift_rule(g: Array, y: Array, x: Array, axes: Axis = None) -> Array:
    return fftshift(g, axes=axes)


@primitive
def ifftshift(x: Array, /, *, axes: Axis = None) -> Array:
    """The inverse of `fftshift`.

    Args:
        x: floating-point array, a transform.
        axes: the axes to move along; None for all.

    Returns:
        The same values in another order.

    Example:
        >>> import numpy as np
        >>> ifftshift(np.asarray([-1.0, 0.0, 1.0])).tolist()
        [0.0, 1.0, -1.0]
    """
    normalize_axes(axes, len(x.shape))
    return namespace(x).fft.ifftshift(x, axes=axes)


ifftshift.vjp(_ifftshift_rule)
