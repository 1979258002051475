"""Sorting: a permutation that depends on the values, and is constant where they are distinct."""

from __future__ import annotations

from portnn._typing import Array
from portnn.ops._helpers import checked_axis
from portnn.ops._indexing import gather_along_axis
from portnn.ops._options import check_flag
from portnn.ops._searching import argsort
from portnn.tracing import namespace, primitive

__all__ = ["sort"]


@primitive
def _sort(x: Array, /, *, axis: int, descending: bool, stable: bool) -> Array:
    return namespace(x).sort(x, axis=axis, descending=descending, stable=stable)


def _sort_rule(g: Array, y: Array, x: Array, axis: int, descending: bool, stable: bool) -> Array:
    """The inverse permutation."""
    order = argsort(x, axis=axis, descending=descending, stable=stable)
    return gather_along_axis(g, argsort(order, axis=axis), axis=axis)


_sort.vjp(_sort_rule)


def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The elements in order along an axis.

    Args:
        x: real array.
        axis: the axis to sort along.
        descending: whether the largest comes first.
        stable: whether equal elements keep their order.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> sort(np.asarray([3, 1, 2]), descending=True).tolist()
        [3, 2, 1]
    """
    check_flag("sort", "descending", descending)
    check_flag("sort", "stable", stable)
    return _sort(x, axis=checked_axis(axis, x), descending=descending, stable=stable)
