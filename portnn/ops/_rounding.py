"""Rounding, signs and bounds, and the parts of complex numbers."""

from __future__ import annotations

from portnn._typing import Array, ArrayLike
from portnn.ops._arithmetic import multiply
from portnn.ops._broadcasting import match, show_nan, where
from portnn.ops._comparison import greater, less
from portnn.tracing import constant, namespace, primitive

__all__ = [
    "abs", "ceil", "clip", "conj", "copysign", "floor", "imag", "nextafter", "real", "round", "sign", "trunc",
]  # fmt: skip


@constant
def sign(x: Array, /) -> Array:
    """The sign of each element: -1, 0 or 1 (``x / |x|`` for complex numbers).

    Its derivative is zero.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> sign(np.asarray([-2.0, 0.0, 3.0])).tolist()
        [-1.0, 0.0, 1.0]
    """
    return namespace(x).sign(x)


@primitive
def abs(x: Array, /) -> Array:
    """Elementwise absolute value.

    The gradient at 0 is 0, the middle of the slopes on its two sides.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype; the modulus, which is real, for complex `x`.

    Example:
        >>> import numpy as np
        >>> abs(np.asarray([-2.0, 0.0, 3.0])).tolist()
        [2.0, 0.0, 3.0]
    """
    return namespace(x).abs(x)


abs.vjp(lambda g, y, x: multiply(g, sign(x)))


@constant
def floor(x: Array, /) -> Array:
    """The largest integer not above each element; its derivative is zero.

    Args:
        x: real array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> floor(np.asarray([1.7, -1.5, 2.5])).tolist()
        [1.0, -2.0, 2.0]
    """
    return namespace(x).floor(x)


@constant
def ceil(x: Array, /) -> Array:
    """The smallest integer not below each element; its derivative is zero.

    Args:
        x: real array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> ceil(np.asarray([1.7, -1.5, 2.5])).tolist()
        [2.0, -1.0, 3.0]
    """
    return namespace(x).ceil(x)


@constant
def round(x: Array, /) -> Array:
    """The nearest integer, the even one of two; its derivative is zero.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> round(np.asarray([1.7, -1.5, 2.5])).tolist()
        [2.0, -2.0, 2.0]
    """
    return namespace(x).round(x)


@constant
def trunc(x: Array, /) -> Array:
    """Each element without its fraction; its derivative is zero.

    Args:
        x: real array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> trunc(np.asarray([1.7, -1.5, 2.5])).tolist()
        [1.0, -1.0, 2.0]
    """
    return namespace(x).trunc(x)


@primitive
def copysign(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The magnitude of `x1` with the sign of `x2`, signed zeros and NaN included.

    The gradient by `x1` is 0 where `x1` is 0, as that of `abs`; by `x2` there is none.

    Args:
        x1: real floating-point array, or a Python scalar if `x2` is an array.
        x2: real floating-point array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> copysign(np.asarray([1.0, -2.0]), np.asarray([-0.0, 5.0])).tolist()
        [-1.0, 2.0]
    """
    return namespace(x1, x2).copysign(x1, x2)


copysign.vjp(
    lambda g, y, x1, x2: match(multiply(g, multiply(sign(x1), sign(y))), x1),
    None,
)


@primitive
def nextafter(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """The representable number after `x1` on the way to `x2`.

    It follows `x1`: the gradient by `x1` is that of `x1` itself; by `x2` there is none.

    Args:
        x1: real floating-point array, or a Python scalar if `x2` is an array.
        x2: real floating-point array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> float(nextafter(np.asarray(1.0), 2.0)) - 1.0
        2.220446049250313e-16
    """
    return namespace(x1, x2).nextafter(x1, x2)


nextafter.vjp(lambda g, y, x1, x2: match(g, x1), None)


@primitive
def _clip(x: Array, low: ArrayLike | None, high: ArrayLike | None, /) -> Array:
    return namespace(x, low, high).clip(x, low, high)


def _inside(g: Array, x: Array, low: ArrayLike | None, high: ArrayLike | None) -> Array:
    """Return `g` where `x` is not clipped, bounds included, else 0."""
    if low is not None:
        g = where(less(x, low), 0.0, g)
    return g if high is None else where(greater(x, high), 0.0, g)


def _low_rule(g: Array, y: Array, x: Array, low: Array, high: ArrayLike | None) -> Array:
    """Where `x` is below; but a lower bound above the upper one gives way to it."""
    cut = where(less(x, low), g, 0.0)
    return match(show_nan(cut if high is None else where(greater(low, high), 0.0, cut), y), low)


def _high_rule(g: Array, y: Array, x: Array, low: ArrayLike | None, high: Array) -> Array:
    cut = where(greater(x, high), g, 0.0)
    return match(show_nan(cut if low is None else where(greater(low, high), g, cut), y), high)


_clip.vjp(
    lambda g, y, x, low, high: match(show_nan(_inside(g, x, low, high), y), x),
    _low_rule,
    _high_rule,
)


def clip(x: Array, /, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Array:
    """`x` with values below `min` replaced by `min` and values above `max` by `max`.

    Where `x` equals a bound, the gradient passes to `x` alone; where the value is NaN, it is NaN. If `min` is
    above `max`, the value is `max`, and so has the gradient.

    Args:
        x: real array.
        min: lower bound, an array that broadcasts with `x` or a Python scalar; None for no bound.
        max: upper bound, likewise.

    Returns:
        An array of the broadcast shape with the dtype of `x`.

    Example:
        >>> import numpy as np
        >>> clip(np.asarray([-2.0, 0.5, 9.0]), 0.0, max=1.0).tolist()
        [0.0, 0.5, 1.0]
    """
    return _clip(x, min, max)


@primitive
def conj(x: Array, /) -> Array:
    """The complex conjugate of each element; real numbers as they are.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> conj(np.asarray([1.0 + 2.0j])).tolist()
        [(1-2j)]
    """
    return namespace(x).conj(x)


conj.vjp(lambda g, y, x: g)


@primitive
def real(x: Array, /) -> Array:
    """The real part of each element; real numbers as they are.

    Args:
        x: numeric array.

    Returns:
        A real array of the same shape and the same precision.

    Example:
        >>> import numpy as np
        >>> real(np.asarray([1.0 + 2.0j])).tolist()
        [1.0]
    """
    return namespace(x).real(x)


real.vjp(lambda g, y, x: g)


@primitive
def imag(x: Array, /) -> Array:
    """The imaginary part of each element, as a value: portnn differentiates real functions only.

    Args:
        x: complex array.

    Returns:
        A real array of the same shape and the same precision.

    Example:
        >>> import numpy as np
        >>> imag(np.asarray([1.0 + 2.0j])).tolist()
        [2.0]
    """
    return namespace(x).imag(x)
