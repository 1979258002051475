"""Weights of samples; a weighted mean depends only on their ratios."""

from __future__ import annotations

from portnn._typing import Array, DType
from portnn.autodiff import stop_gradient
from portnn.ops._arithmetic import divide, multiply
from portnn.ops._broadcasting import astype, where
from portnn.ops._comparison import greater
from portnn.ops._half import widened
from portnn.ops._like import ones_like
from portnn.ops._rounding import abs as abs_
from portnn.ops._statistical import max as max_
from portnn.tracing import is_kind

__all__ = ["over", "relative"]


def relative(weight: Array, dtype: DType | str, /) -> Array:
    """Divide weights by the largest, so that their sums and products neither overflow nor all underflow.

    The division is in their own dtype, before the cast. A weighted mean and its gradients, also by the
    weights, do not change: the divisor counts as a constant.

    Args:
        weight: nonnegative weights of any real dtype; if all are zero they stay zero. JAX treats float32
            numbers below 1.2e-38 as zero.
        dtype: the floating-point dtype of the result.

    Returns:
        Weights from 0 to 1.
    """
    if not is_kind(weight, "real floating"):
        weight = astype(weight, dtype)
    weight = widened(weight)
    return astype(over(weight, stop_gradient(max_(abs_(weight)))), dtype, copy=False)


def over(x: Array, largest: Array, /) -> Array:
    """Divide `x` by a nonnegative 0-d array, or by 1 where that is 0.

    XLA multiplies by the inverse, and flushes the inverse of a number above 8e37 to zero.
    """
    one = ones_like(largest)
    scale = where(greater(largest, 1.0), 2.0**-64, one)
    return divide(multiply(x, scale), where(greater(largest, 0.0), multiply(largest, scale), one))
