"""Powers, whose derivatives need care at zero."""

from __future__ import annotations

from math import inf, nan
from math import log as scalar_log

from portnn._typing import Array, ArrayLike
from portnn.ops._arithmetic import multiply, subtract
from portnn.ops._broadcasting import match, where
from portnn.ops._comparison import equal, greater_equal, less
from portnn.ops._exponential import log, smooth_square
from portnn.ops._helpers import zeros_at
from portnn.ops._logical import logical_and
from portnn.tracing import namespace, primitive

__all__ = ["pow"]


def _pow_base_rule(g: Array, y: Array, x1: Array, x2: ArrayLike) -> Array:
    """``x2 * x1**(x2 - 1)``, and 0 at x1 = x2 = 0, where that power is infinite."""
    if isinstance(x2, int | float):
        if x2 == 0:
            return multiply(g, 0.0)
        slope = multiply(pow(x1, x2 - 1), x2)
    else:
        origin = logical_and(equal(x1, 0), equal(x2, 0))
        slope = multiply(x2, pow(x1, where(origin, 1.0, subtract(x2, 1.0))))
    return match(multiply(g, slope), x1)


def _pow_exponent_rule(g: Array, y: Array, x1: ArrayLike, x2: Array) -> Array:
    """``x1**x2 * log(x1)``; 0 where x1 = 0 and x2 >= 0; NaN without a warning where x1 < 0."""
    if isinstance(x1, int | float) and x1 != 0:
        slope = multiply(y, scalar_log(x1) if x1 > 0 else nan)
    elif isinstance(x1, int | float):
        slope = multiply(y, where(less(x2, 0), -inf, zeros_at(x2, tuple(x2.shape))))
    else:
        flat = logical_and(equal(x1, 0), greater_equal(x2, 0))
        slope = multiply(y, log(where(less(x1, 0), nan, where(flat, 1.0, x1))))
    return match(multiply(g, slope), x2)


@primitive
def _pow(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    return namespace(x1, x2).pow(x1, x2)


_pow.vjp(_pow_base_rule, _pow_exponent_rule)
_pow.name = "pow"  # the name in errors


def pow(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise power ``x1 ** x2``.

    The gradient by `x1` is 0 where `x2` is 0, and infinite at 0 where `x2` is another number below 1. The
    gradient by `x2` is, where `x1` is 0, its limit: 0 for positive `x2` (and at 0), minus infinity for
    negative; and NaN where `x1` is negative, since the power is real at integers only.

    Args:
        x1: numeric array, or a Python scalar if `x2` is an array.
        x2: numeric array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The power, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> pow(np.asarray([1.0, 2.0, 3.0]), 2.0).tolist()
        [1.0, 4.0, 9.0]
    """
    if isinstance(x2, int | float) and x2 == 2:
        y = smooth_square(x1)
        if y is not None:
            return y
    return _pow(x1, x2)
