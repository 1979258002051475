"""Products of matrices and vectors: the part of linear algebra that is in the standard's main namespace.

The rules follow M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation (2008): for Y = A B, the gradient by A is G Bᵀ and that by B is Aᵀ G.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index
from typing import SupportsIndex

from portnn._typing import Array, Namespace
from portnn.ops._arithmetic import multiply
from portnn.ops._broadcasting import match, reshape
from portnn.ops._half import in_float32
from portnn.ops._helpers import normalize_axis, plain_namespace
from portnn.ops._manipulation import expand_dims, permute_dims
from portnn.tracing import namespace, primitive

__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]


@primitive
def matrix_transpose(x: Array, /) -> Array:
    """Exchange the last two axes.

    Args:
        x: array of shape (..., m, n).

    Returns:
        An array of shape (..., n, m); it may share memory with `x`.

    Example:
        >>> import numpy as np
        >>> matrix_transpose(np.asarray([[1, 2], [3, 4]])).tolist()
        [[1, 3], [2, 4]]
    """
    return namespace(x).matrix_transpose(x)


matrix_transpose.vjp(lambda g, y, x: matrix_transpose(g))


def _matmul_left_rule(g: Array, y: Array, a: Array, b: Array) -> Array:
    """G Bᵀ; a vector `b` is a column, a vector `a` a row."""
    if len(b.shape) == 1:
        return match(multiply(expand_dims(g, axis=-1), b), a)
    if len(a.shape) == 1:
        return match(_drop_last(matmul(b, expand_dims(g, axis=-1))), a)
    return match(matmul(g, matrix_transpose(b)), a)


def _matmul_right_rule(g: Array, y: Array, a: Array, b: Array) -> Array:
    """Aᵀ G; a vector `a` is a row, a vector `b` a column."""
    if len(a.shape) == 1:
        if len(b.shape) == 1:
            return multiply(g, a)
        return match(multiply(expand_dims(a, axis=-1), expand_dims(g, axis=-2)), b)
    if len(b.shape) == 1:
        return match(_drop_last(matmul(matrix_transpose(a), expand_dims(g, axis=-1))), b)
    return match(matmul(matrix_transpose(a), g), b)


def _drop_last(x: Array) -> Array:
    return reshape(x, tuple(x.shape[:-1]))


def dot(xp: Namespace, x1: Array, x2: Array) -> Array:
    """``x1 @ x2``; PyTorch's operator takes no two dtypes, its function of the standard does."""
    same = getattr(x1, "dtype", None) == getattr(x2, "dtype", None)
    return x1 @ x2 if same else xp.matmul(x1, x2)


@primitive
def matmul(x1: Array, x2: Array, /) -> Array:
    """Matrix product, over stacks of matrices with broadcasting.

    Args:
        x1: numeric array of shape (..., m, k) or (k,).
        x2: numeric array of shape (..., k, n) or (k,).

    Returns:
        An array of shape (..., m, n); a vector's own axis is left out.

    Example:
        >>> import numpy as np
        >>> matmul(np.asarray([[1.0, 2.0]]), np.asarray([3.0, 4.0])).tolist()
        [11.0]
    """
    return dot(namespace(x1, x2), x1, x2)


matmul.vjp(_matmul_left_rule, _matmul_right_rule)


@primitive
def _vecdot(x1: Array, x2: Array, /, *, axis: int) -> Array:
    return namespace(x1, x2).vecdot(x1, x2, axis=axis)


_vecdot.vjp(
    lambda g, y, x1, x2, axis: match(multiply(expand_dims(g, axis=axis), x2), x1),
    lambda g, y, x1, x2, axis: match(multiply(expand_dims(g, axis=axis), x1), x2),
)


@in_float32
def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Scalar products of vectors along one axis: the sum of ``conj(x1) * x2``.

    Args:
        x1: numeric array.
        x2: numeric array that broadcasts with `x1`; both have the same length along `axis`.
        axis: the axis to sum over, counted from the last (negative).

    Returns:
        An array of the broadcast shape without `axis`.

    Example:
        >>> import numpy as np
        >>> vecdot(np.asarray([[1.0, 2.0], [3.0, 4.0]]), np.asarray([1.0, 10.0])).tolist()
        [21.0, 43.0]
    """
    normalize_axis(axis, min(len(x1.shape), len(x2.shape)))
    return _vecdot(x1, x2, axis=axis)


def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Contract two arrays over several axes.

    Args:
        x1: numeric array.
        x2: numeric array.
        axes: a number n, for the last n axes of `x1` with the first n of `x2`; or two sequences of
            axes, paired in order.

    Returns:
        An array with the remaining axes of `x1`, then those of `x2`.

    Raises:
        TypeError: if `axes` is neither.
        ValueError: if paired axes have different lengths.

    Example:
        >>> import numpy as np
        >>> tensordot(np.ones((2, 3)), np.ones((3, 4)), axes=1).shape
        (2, 4)
    """
    plain_namespace(x1, x2)
    n1, n2 = len(x1.shape), len(x2.shape)
    if isinstance(axes, SupportsIndex):
        axes = index(axes)
        if not 0 <= axes <= min(n1, n2):
            raise ValueError(f"tensordot: axes={axes} is out of range for arrays with {n1} and {n2} axes")
        left, right = list(range(n1 - axes, n1)), list(range(axes))
    else:
        if not hasattr(axes, "__len__") or not all(hasattr(side, "__len__") for side in axes):
            raise TypeError(f"tensordot: axes must be an integer or two sequences, got {axes!r:.60}")
        left, right = ([normalize_axis(a, n) for a in side] for side, n in zip(axes, (n1, n2), strict=True))
    if [x1.shape[a] for a in left] != [x2.shape[a] for a in right]:
        raise ValueError(
            f"tensordot: the contracted axes differ in length: {[x1.shape[a] for a in left]} of x1 "
            f"and {[x2.shape[a] for a in right]} of x2"
        )
    free1 = [a for a in range(n1) if a not in left]
    free2 = [a for a in range(n2) if a not in right]
    k = prod([x1.shape[a] for a in left])
    shape1, shape2 = [x1.shape[a] for a in free1], [x2.shape[a] for a in free2]
    product = matmul(
        reshape(permute_dims(x1, (*free1, *left)), (prod(shape1), k)),
        reshape(permute_dims(x2, (*right, *free2)), (k, prod(shape2))),
    )
    return reshape(product, (*shape1, *shape2))
