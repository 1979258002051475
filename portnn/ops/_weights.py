"""Weights of samples, of which a weighted mean knows the ratios alone."""

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
    """Weights over the largest of them, so that no sum or product of them overflows, or all underflow.

    They are divided in their own dtype, before the cast. A weighted mean is the same for them, and so is its
    gradient, by the weights too: the divisor counts as a constant.

    Args:
        weight: weights that are not negative, of any real dtype; weights that are all zero stay zero. JAX
            takes float32 numbers below 1.2e-38 for zero.
        dtype: floating-point, of the result.

    Returns:
        Weights from 0 to 1.
    """
    if not is_kind(weight, "real floating"):
        weight = astype(weight, dtype)
    weight = widened(weight)
    return astype(over(weight, stop_gradient(max_(abs_(weight)))), dtype, copy=False)


def over(x: Array, largest: Array, /) -> Array:
    """`x` over a number without axes, which is not negative; over 1 where that is 0.

    XLA multiplies by the inverse, and takes that of a number beyond 8e37 for zero.
    """
    one = ones_like(largest)
    scale = where(greater(largest, 1.0), 2.0**-64, one)
    return divide(multiply(x, scale), where(greater(largest, 0.0), multiply(largest, scale), one))
