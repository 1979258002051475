"""Arrays made from the shape of another, and triangles of matrices."""

from __future__ import annotations

from portnn._typing import Array, Device, DType
from portnn.backend._library import creator
from portnn.ops._broadcasting import astype, broadcast_to
from portnn.ops._helpers import dtype_named, python_number
from portnn.ops._options import check_whole
from portnn.tracing import RecordedArray, TracedArray, constant, namespace, primitive

__all__ = ["empty_like", "full_like", "ones_like", "tril", "triu", "zeros_like"]


@constant
def zeros_like(x: Array, /, *, dtype: DType | str | None = None, device: Device | None = None) -> Array:
    """Zeros of the shape, dtype, library and device of an array.

    Args:
        x: the array.
        dtype: another dtype.
        device: another device.

    Returns:
        The zeros.

    Example:
        >>> import numpy as np
        >>> zeros_like(np.asarray([1.0, 2.0])).tolist()
        [0.0, 0.0]
    """
    xp = namespace(x)
    return creator(xp, "zeros_like")(x, dtype=dtype_named(xp, dtype), device=device)


@constant
def ones_like(x: Array, /, *, dtype: DType | str | None = None, device: Device | None = None) -> Array:
    """Ones of the shape, dtype, library and device of an array; the arguments are those of `zeros_like`.

    Example:
        >>> import numpy as np
        >>> ones_like(np.asarray([3.0, 2.0])).tolist()
        [1.0, 1.0]
    """
    xp = namespace(x)
    return creator(xp, "ones_like")(x, dtype=dtype_named(xp, dtype), device=device)


@constant
def empty_like(x: Array, /, *, dtype: DType | str | None = None, device: Device | None = None) -> Array:
    """Unset elements of the shape of an array; the arguments are those of `zeros_like`.

    Example:
        >>> import numpy as np
        >>> empty_like(np.asarray([3.0, 2.0])).shape
        (2,)
    """
    xp = namespace(x)
    return creator(xp, "empty_like")(x, dtype=dtype_named(xp, dtype), device=device)


def full_like(
    x: Array,
    /,
    fill_value: complex | Array,
    *,
    dtype: DType | str | None = None,
    device: Device | None = None,
) -> Array:
    """One value in the shape, dtype, library and device of an array.

    Args:
        x: the array.
        fill_value: a Python number, or an array without axes, whose derivative is kept.
        dtype: another dtype.
        device: another device.

    Returns:
        The array.

    Example:
        >>> import numpy as np
        >>> full_like(np.asarray([3.0, 2.0]), 7.0).tolist()
        [7.0, 7.0]
    """
    if isinstance(fill_value, TracedArray | RecordedArray):
        number = astype(fill_value, x.dtype if dtype is None else dtype, copy=False, device=device)
        return broadcast_to(number, tuple(x.shape))
    return _full_like(x, fill_value=python_number(fill_value), dtype=dtype, device=device)


@constant
def _full_like(
    x: Array, /, *, fill_value: complex, dtype: DType | str | None, device: Device | None
) -> Array:
    xp = namespace(x)
    return creator(xp, "full_like")(x, fill_value, dtype=dtype_named(xp, dtype), device=device)


_full_like.name = "full_like"


@primitive
def _triangle(x: Array, /, *, name: str, k: int) -> Array:
    xp = namespace(x)
    return xp.tril(x, k=k) if name == "tril" else xp.triu(x, k=k)


_triangle.vjp(lambda g, y, x, name, k: _triangle(g, name=name, k=k))


def tril(x: Array, /, *, k: int = 0) -> Array:
    """The lower triangle of matrices, zeros above it.

    Args:
        x: array of shape (..., m, n).
        k: the diagonal up to which elements are kept: 0 the main one, positive above it.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> tril(np.ones((2, 2))).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle(x, name="tril", k=check_whole("tril", "k", k))


def triu(x: Array, /, *, k: int = 0) -> Array:
    """The upper triangle of matrices, zeros below it.

    Args:
        x: array of shape (..., m, n).
        k: the diagonal from which elements are kept: 0 the main one, positive above it.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> triu(np.ones((2, 2))).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return _triangle(x, name="triu", k=check_whole("triu", "k", k))
