"""Reductions: one number from many, along axes."""

from __future__ import annotations

from portnn._typing import Array, Axis
from portnn.ops._arithmetic import divide, multiply, subtract
from portnn.ops._broadcasting import astype, broadcast_to, keep, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._comparison import equal
from portnn.ops._half import in_float32
from portnn.ops._helpers import checked_axis, reduced_count
from portnn.ops._options import check_flag
from portnn.tracing import namespace, primitive

__all__ = ["max", "mean", "min", "std", "var"]


def _extreme_rule(g: Array, y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """The elements that attain the extreme share the gradient equally."""
    chosen = astype(equal(x, keep(y, x, axis, keepdims)), g.dtype)
    count = sum_(chosen, axis=axis, keepdims=True)
    count = where(equal(count, 0.0), float("nan"), count)  # NaN equals nothing: its gradient is NaN
    return multiply(chosen, divide(keep(g, x, axis, keepdims), count))


@primitive
def _max(x: Array, /, *, axis: Axis, keepdims: bool) -> Array:
    return namespace(x).max(x, axis=axis, keepdims=keepdims)


_max.vjp(_extreme_rule)


def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest value along axes; ties share the gradient equally.

    Args:
        x: real array, not empty along `axis`.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        The maxima, in the dtype of `x`.

    Example:
        >>> import numpy as np
        >>> max(np.asarray([[1, 5], [3, 2]]), axis=1).tolist()
        [5, 3]
    """
    check_flag("max", "keepdims", keepdims)
    return _max(x, axis=checked_axis(axis, x), keepdims=keepdims)


@primitive
def _min(x: Array, /, *, axis: Axis, keepdims: bool) -> Array:
    return namespace(x).min(x, axis=axis, keepdims=keepdims)


_min.vjp(_extreme_rule)


def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Smallest value along axes; ties share the gradient equally.

    Args:
        x: real array, not empty along `axis`.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        The minima, in the dtype of `x`.

    Example:
        >>> import numpy as np
        >>> min(np.asarray([[1, 5], [3, 2]]), axis=1).tolist()
        [1, 2]
    """
    check_flag("min", "keepdims", keepdims)
    return _min(x, axis=checked_axis(axis, x), keepdims=keepdims)


@primitive
def _mean(x: Array, /, *, axis: Axis, keepdims: bool) -> Array:
    return namespace(x).mean(x, axis=axis, keepdims=keepdims)


def _mean_rule(g: Array, y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """g / n, repeated along the axes that were reduced."""
    share = multiply(g, 1.0 / (reduced_count(x, axis) or 1))
    return broadcast_to(share if axis is None else keep(share, x, axis, keepdims), tuple(x.shape))


_mean.vjp(_mean_rule)


@in_float32
def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Arithmetic mean along axes.

    Args:
        x: floating-point array.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        The means, in the dtype of `x`.

    Example:
        >>> import numpy as np
        >>> mean(np.asarray([[1.0, 3.0], [5.0, 7.0]]), axis=0).tolist()
        [3.0, 5.0]
    """
    check_flag("mean", "keepdims", keepdims)
    return _mean(x, axis=checked_axis(axis, x), keepdims=keepdims)


def _var_rule(g: Array, y: Array, x: Array, axis: Axis, correction: float, keepdims: bool) -> Array:
    """2 (x - mean(x)) / (n - correction)."""
    centred = subtract(x, mean(x, axis=axis, keepdims=True))
    n = reduced_count(x, axis) - correction
    return multiply(multiply(keep(g, x, axis, keepdims), 2.0 / n if n > 0 else float("inf")), centred)


@primitive
def _var(x: Array, /, *, axis: Axis, correction: float, keepdims: bool) -> Array:
    return namespace(x).var(x, axis=axis, correction=correction, keepdims=keepdims)


_var.vjp(_var_rule)


@in_float32
def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Variance along axes: the sum of squared deviations over ``n - correction``.

    Args:
        x: real floating-point array.
        axis: the axes to reduce; None for all.
        correction: 0 for the variance of a population, 1 for the unbiased estimate from a sample.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        The variances, in the dtype of `x`.

    Example:
        >>> import numpy as np
        >>> float(var(np.asarray([1.0, 2.0, 3.0]), correction=1.0))
        1.0
    """
    check_flag("var", "keepdims", keepdims)
    return _var(x, axis=checked_axis(axis, x), correction=correction, keepdims=keepdims)


def _std_rule(g: Array, y: Array, x: Array, axis: Axis, correction: float, keepdims: bool) -> Array:
    """(x - mean(x)) / ((n - correction) std(x)); 0 where all elements are equal, a subgradient there."""
    y = keep(y, x, axis, keepdims)
    flat = equal(y, 0.0)
    n = reduced_count(x, axis) - correction
    scale = multiply(where(flat, 1.0, y), float(n) if n > 0 else 0.0)
    slope = divide(subtract(x, mean(x, axis=axis, keepdims=True)), scale)
    return multiply(keep(g, x, axis, keepdims), where(flat, 0.0, slope))


@primitive
def _std(x: Array, /, *, axis: Axis, correction: float, keepdims: bool) -> Array:
    return namespace(x).std(x, axis=axis, correction=correction, keepdims=keepdims)


_std.vjp(_std_rule)


@in_float32
def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Standard deviation along axes, the root of `var`; its gradient is 0 where all elements are equal.

    Args:
        x: real floating-point array.
        axis: the axes to reduce; None for all.
        correction: 0 for the deviation of a population, 1 for the estimate from a sample.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        The standard deviations, in the dtype of `x`.

    Example:
        >>> import numpy as np
        >>> float(std(np.asarray([2.0, 4.0])))
        1.0
    """
    check_flag("std", "keepdims", keepdims)
    return _std(x, axis=checked_axis(axis, x), correction=correction, keepdims=keepdims)
