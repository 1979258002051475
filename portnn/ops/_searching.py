"""Searching and counting, which have no derivative, and sets, whose values would have one but no rule yet."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array, Axis
from portnn.ops._helpers import checked_axis, indices_at
from portnn.ops._options import check_flag
from portnn.tracing import constant, namespace, primitive

__all__ = [
    "all", "any", "argmax", "argmin", "argsort", "count_nonzero", "nonzero", "searchsorted", "unique_all",
    "unique_counts", "unique_inverse", "unique_values",
]  # fmt: skip


@constant
def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Index of the first largest value along an axis.

    Args:
        x: real array, not empty along `axis`.
        axis: the axis to search; None searches the flattened array.
        keepdims: whether the searched axis stays, with length one.

    Returns:
        Indices, in the library's default index dtype.

    Example:
        >>> import numpy as np
        >>> argmax(np.asarray([[1, 5], [3, 2]]), axis=1).tolist()
        [1, 0]
    """
    check_flag("argmax", "keepdims", keepdims)
    return namespace(x).argmax(x, axis=checked_axis(axis, x), keepdims=keepdims)


@constant
def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Index of the first smallest value along an axis.

    Args:
        x: real array, not empty along `axis`.
        axis: the axis to search; None searches the flattened array.
        keepdims: whether the searched axis stays, with length one.

    Returns:
        Indices, in the library's default index dtype.

    Example:
        >>> import numpy as np
        >>> argmin(np.asarray([[1, 5], [3, 2]]), axis=1).tolist()
        [0, 1]
    """
    check_flag("argmin", "keepdims", keepdims)
    return namespace(x).argmin(x, axis=checked_axis(axis, x), keepdims=keepdims)


@constant
def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """Indices that sort an array along an axis.

    Args:
        x: real array.
        axis: the axis to sort along.
        descending: whether the largest comes first.
        stable: whether equal elements keep their order.

    Returns:
        Indices of the shape of `x`, in the library's default index dtype.

    Example:
        >>> import numpy as np
        >>> argsort(np.asarray([3, 1, 2])).tolist()
        [1, 2, 0]
    """
    check_flag("argsort", "descending", descending)
    check_flag("argsort", "stable", stable)
    return namespace(x).argsort(x, axis=checked_axis(axis, x), descending=descending, stable=stable)


@constant
def nonzero(x: Array, /) -> tuple[Array, ...]:
    """Indices of the elements that are not zero; the shape of the result depends on the data.

    Args:
        x: an array with at least one axis.

    Returns:
        An array of indices for each axis.

    Example:
        >>> import numpy as np
        >>> [i.tolist() for i in nonzero(np.asarray([0, 7, 8]))]
        [[1, 2]]
    """
    found: tuple[Array, ...] = tuple(namespace(x).nonzero(x))
    return found


@constant
def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Number of elements that are not zero.

    Args:
        x: an array.
        axis: the axes to count along; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        Counts, in the library's default index dtype.

    Example:
        >>> import numpy as np
        >>> int(count_nonzero(np.asarray([0, 7, 8])))
        2
    """
    check_flag("count_nonzero", "keepdims", keepdims)
    xp, axis = namespace(x), checked_axis(axis, x)
    if axis == ():  # which PyTorch takes for all axes
        return xp.astype(xp.astype(x, xp.bool), indices_at(x, 0).dtype)
    return xp.count_nonzero(x, axis=axis, keepdims=keepdims)


@constant
def _searchsorted(x1: Array, x2: Array, sorter: Array | None, /, *, side: str) -> Array:
    return namespace(x1, x2, sorter).searchsorted(x1, x2, side=side, sorter=sorter)


def searchsorted(x1: Array, x2: Array, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    """Where values would be inserted to keep a sorted array sorted.

    Args:
        x1: sorted one-dimensional real array.
        x2: real array of the values to insert.
        side: "left" in front of equal elements, "right" behind them.
        sorter: indices that sort `x1`, if it is not sorted.

    Returns:
        Indices of the shape of `x2`.

    Example:
        >>> import numpy as np
        >>> searchsorted(np.asarray([1, 2, 4]), np.asarray([2, 3])).tolist()
        [1, 2]
    """
    return _searchsorted(x1, x2, sorter, side=side)


@constant
def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element is true (not zero).

    Args:
        x: an array.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        Booleans.

    Example:
        >>> import numpy as np
        >>> bool(all(np.asarray([True, False])))
        False
    """
    check_flag("all", "keepdims", keepdims)
    return namespace(x).all(x, axis=checked_axis(axis, x), keepdims=keepdims)


@constant
def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some element is true (not zero).

    Args:
        x: an array.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        Booleans.

    Example:
        >>> import numpy as np
        >>> bool(any(np.asarray([True, False])))
        True
    """
    check_flag("any", "keepdims", keepdims)
    return namespace(x).any(x, axis=checked_axis(axis, x), keepdims=keepdims)


@primitive
def unique_all(x: Array, /) -> Any:
    """Unique elements, with where each comes first, how to rebuild `x`, and how often each comes.

    Args:
        x: an array.

    Returns:
        A named tuple ``(values, indices, inverse_indices, counts)`` of arrays.

    Example:
        >>> import numpy as np
        >>> unique_all(np.asarray([3, 1, 3])).counts.tolist()
        [1, 2]
    """
    return namespace(x).unique_all(x)


@primitive
def unique_counts(x: Array, /) -> Any:
    """Unique elements and how often each comes.

    Args:
        x: an array.

    Returns:
        A named tuple ``(values, counts)`` of arrays.

    Example:
        >>> import numpy as np
        >>> unique_counts(np.asarray([3, 1, 3])).values.tolist()
        [1, 3]
    """
    return namespace(x).unique_counts(x)


@primitive
def unique_inverse(x: Array, /) -> Any:
    """Unique elements and how to rebuild `x` from them.

    Args:
        x: an array.

    Returns:
        A named tuple ``(values, inverse_indices)`` of arrays.

    Example:
        >>> import numpy as np
        >>> unique_inverse(np.asarray([3, 1, 3])).inverse_indices.tolist()
        [1, 0, 1]
    """
    return namespace(x).unique_inverse(x)


@primitive
def unique_values(x: Array, /) -> Array:
    """Unique elements.

    Args:
        x: an array.

    Returns:
        A one-dimensional array.

    Example:
        >>> import numpy as np
        >>> unique_values(np.asarray([3, 1, 3])).tolist()
        [1, 3]
    """
    return namespace(x).unique_values(x)
