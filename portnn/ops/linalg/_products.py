"""Products of vectors, and powers of matrices."""

from __future__ import annotations

from portnn._typing import Array
from portnn.ops._broadcasting import match
from portnn.ops._helpers import normalize_axis
from portnn.ops._linear_algebra import matmul
from portnn.ops.linalg._solving import inv
from portnn.tracing import constant, namespace, primitive

__all__ = ["cross", "matrix_power", "outer"]


@primitive
def outer(x1: Array, x2: Array, /) -> Array:
    """Every product of an element of one vector and an element of another.

    Args:
        x1: numeric array of shape (m,).
        x2: numeric array of shape (n,).

    Returns:
        The products, of shape (m, n).

    Example:
        >>> import numpy as np
        >>> outer(np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0])).tolist()
        [[3.0, 4.0], [6.0, 8.0]]
    """
    return namespace(x1, x2).linalg.outer(x1, x2)


outer.vjp(
    lambda g, y, x1, x2: match(matmul(g, x2), x1),
    lambda g, y, x1, x2: match(matmul(x1, g), x2),
)


@primitive
def _cross(x1: Array, x2: Array, /, *, axis: int) -> Array:
    return namespace(x1, x2).linalg.cross(x1, x2, axis=axis)


# g . (a x b) is the volume (g, a, b), the same under cyclic exchange: b x g by a, and g x a by b.
_cross.vjp(
    lambda g, y, x1, x2, axis: match(_cross(x2, g, axis=axis), x1),
    lambda g, y, x1, x2, axis: match(_cross(g, x1, axis=axis), x2),
)


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """The cross product of vectors of three elements.

    Args:
        x1: numeric array with three elements along `axis`.
        x2: numeric array with three elements along `axis`, the other axes broadcast.
        axis: the axis of the vectors, a negative number: the standard counts it from the last.

    Returns:
        The products, of the broadcast shape and promoted dtype.

    Raises:
        ValueError: if `axis` has not three elements in both.

    Example:
        >>> import numpy as np
        >>> cross(np.asarray([1.0, 0.0, 0.0]), np.asarray([0.0, 1.0, 0.0])).tolist()
        [0.0, 0.0, 1.0]
    """
    lengths = [x.shape[normalize_axis(axis, len(x.shape))] for x in (x1, x2)]
    if lengths != [3, 3]:
        raise ValueError(
            f"cross: expected vectors of 3 elements along axis={axis}, got {lengths[0]} and {lengths[1]}; "
            "of 2 elements it is x1[..., 0] * x2[..., 1] - x1[..., 1] * x2[..., 0]"
        )
    return _cross(x1, x2, axis=axis)


@constant
def _unit(x: Array, /) -> Array:
    """The unit matrices that are the power 0."""
    return namespace(x).linalg.matrix_power(x, 0)


def matrix_power(x: Array, n: int, /) -> Array:
    """Each square matrix multiplied by itself, by repeated squaring; the inverse for negative powers.

    Args:
        x: floating-point array of shape (..., m, m).
        n: the power.

    Returns:
        The powers, of the shape of `x`.

    Raises:
        ValueError: if the matrices are not square.

    Example:
        >>> import numpy as np
        >>> matrix_power(np.asarray([[1.0, 1.0], [0.0, 1.0]]), 3).tolist()
        [[1.0, 3.0], [0.0, 1.0]]
    """
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"matrix_power: expected square matrices (..., m, m), got shape {tuple(x.shape)}")
    if n == 0:
        return _unit(x)
    base, left, result = (x if n > 0 else inv(x)), (n if n > 0 else -n), None
    while left:
        if left % 2:
            result = base if result is None else matmul(result, base)
        left //= 2
        base = matmul(base, base) if left else base
    return result
