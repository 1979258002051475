"""Norms of vectors and matrices."""

from __future__ import annotations

from math import inf
from typing import Literal

from portnn._typing import Array, Axis
from portnn.autodiff import stop_gradient
from portnn.ops._arithmetic import divide, multiply
from portnn.ops._broadcasting import astype, keep, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._comparison import equal
from portnn.ops._exponential import direction, smooth_squares
from portnn.ops._half import in_float32
from portnn.ops._helpers import checked_axis, zeros_at
from portnn.ops._options import check_flag
from portnn.ops._power import pow
from portnn.ops._rounding import abs, sign
from portnn.ops.linalg._factors import svdvals
from portnn.tracing import namespace, primitive

__all__ = ["matrix_norm", "vector_norm"]


def _slope(x: Array, y: Array, axis: Axis, order: float) -> Array:
    """The derivative of the norm `y`, kept to the axes of `x`, by `x`; 0 where the norm is 0.

    For order p it is ``sign(x) (|x| / y)**(p - 1)``; for infinite orders the elements that attain the norm
    share it.
    """
    if order == 0:
        return zeros_at(x, tuple(x.shape))
    if order == 1:
        return sign(x)
    if order in (inf, -inf):
        attained = astype(equal(abs(x), y), y.dtype)
        count = sum_(attained, axis=axis, keepdims=True)
        count = where(equal(count, 0.0), float("nan"), count)  # NaN equals nothing: its gradient is NaN
        return divide(multiply(sign(x), attained), count)
    zero = equal(y, 0.0)
    x, y = where(zero, 1.0, x), where(zero, 1.0, y)
    # One factor per element, so that an unbounded second derivative stays at its element.
    unit = stop_gradient(y)
    powers = multiply(sign(x), pow(direction(abs(x), unit), order - 1))
    return where(zero, 0.0, multiply(powers, pow(direction(y, unit), 1 - order)))


@primitive
def _vector_norm(x: Array, /, *, axis: Axis, keepdims: bool, ord: float) -> Array:
    return namespace(x).linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


_vector_norm.vjp(
    lambda g, y, x, axis, keepdims, ord: multiply(
        keep(g, x, axis, keepdims), _slope(x, keep(y, x, axis, keepdims), axis, ord)
    )
)


@primitive
def _euclidean_norm(x: Array, /, *, axis: Axis, keepdims: bool) -> Array:
    return namespace(x).linalg.vector_norm(x, axis=axis, keepdims=keepdims)


_euclidean_norm.vjp(
    lambda g, y, x, axis, keepdims: multiply(
        keep(g, x, axis, keepdims), direction(x, keep(y, x, axis, keepdims))
    )
)
smooth_squares[_euclidean_norm] = lambda g, x, axis, keepdims: (
    multiply(keep(g, x, axis, keepdims), multiply(x, 2.0)),
)


@in_float32
def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """The norm of vectors: ``sum(|x|**p)**(1/p)``.

    The gradient is 0 where the norm is. For the orders inf and -inf, elements that tie share it.

    Args:
        x: floating-point array.
        axis: the axes that hold a vector; None for all.
        keepdims: whether these axes stay, with length one.
        ord: the order p: a number, inf for the largest magnitude, -inf for the smallest, 0 for the count of
            elements that are not 0 (whose gradient is 0).

    Returns:
        The norms, real.

    Example:
        >>> import numpy as np
        >>> float(vector_norm(np.asarray([3.0, 4.0])))
        5.0
    """
    check_flag("vector_norm", "keepdims", keepdims)
    axis = checked_axis(axis, x)
    if ord == 2:
        return _euclidean_norm(x, axis=axis, keepdims=keepdims)
    return _vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def _matrix_norm(x: Array, ord: float | Literal["fro", "nuc"] | None) -> Array:
    """The norm of each matrix as a norm of a vector made from it."""
    if ord is None or ord == "fro":
        return vector_norm(x, axis=(-2, -1))
    if ord == "nuc":
        return sum_(svdvals(x), axis=-1)
    largest = inf if ord in (1, 2, inf) else -inf
    if ord in (2, -2):
        return vector_norm(svdvals(x), axis=-1, ord=largest)
    if ord in (1, -1, inf, -inf):
        sums = sum_(abs(x), axis=-2 if ord in (1, -1) else -1)
        return vector_norm(sums, axis=-1, ord=largest)
    raise ValueError(f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")


@in_float32
def matrix_norm(
    x: Array, /, *, keepdims: bool = False, ord: float | Literal["fro", "nuc"] | None = "fro"
) -> Array:
    """The norm of matrices.

    The orders made from singular values ("nuc", 2, -2) have a first derivative only. The gradient of "fro" at
    0 is 0; rows or columns that tie share it.

    Args:
        x: floating-point array of shape (..., m, n).
        keepdims: whether the two axes stay, with length one.
        ord: "fro" (or None): the root of the sum of squares; "nuc": the sum of the singular values; 2 and -2:
            the largest and smallest one; 1 and -1: the largest and smallest sum of magnitudes in a column;
            inf and -inf: in a row.

    Returns:
        The norms, real, of shape (...), or (..., 1, 1).

    Raises:
        ValueError: if `ord` is none of these.

    Example:
        >>> import numpy as np
        >>> float(matrix_norm(np.asarray([[1.0, -2.0], [3.0, 4.0]]), ord=1))
        6.0
    """
    check_flag("matrix_norm", "keepdims", keepdims)
    y = _matrix_norm(x, ord)
    return reshape(y, (*y.shape, 1, 1)) if keepdims else y
