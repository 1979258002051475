"""Trigonometric functions and their inverses.

The rules avoid squares that overflow: 1 + x**2 is the square of ``hypot(1, x)``.
"""

from __future__ import annotations

from portnn._typing import Array, ArrayLike
from portnn.ops._arithmetic import add, divide, multiply, negative, subtract
from portnn.ops._broadcasting import match, show_nan, where
from portnn.ops._comparison import equal
from portnn.ops._exponential import hypot, sqrt
from portnn.ops._logical import isinf, logical_or
from portnn.tracing import namespace, primitive

__all__ = ["acos", "asin", "atan", "atan2", "cos", "sin", "tan"]


def _sin_rule(g: Array, y: Array, x: Array) -> Array:
    return multiply(g, cos(x))


@primitive
def sin(x: Array, /) -> Array:
    """Elementwise sine of angles in radians.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> sin(np.asarray([0.0, 1.0])).tolist()
        [0.0, 0.8414709848078965]
    """
    return namespace(x).sin(x)


sin.vjp(_sin_rule)


@primitive
def cos(x: Array, /) -> Array:
    """Elementwise cosine of angles in radians.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> cos(np.asarray([0.0, 1.0])).tolist()
        [1.0, 0.5403023058681398]
    """
    return namespace(x).cos(x)


cos.vjp(lambda g, y, x: negative(multiply(g, sin(x))))


@primitive
def tan(x: Array, /) -> Array:
    """Elementwise tangent of angles in radians.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> tan(np.asarray([0.0])).tolist()
        [0.0]
    """
    return namespace(x).tan(x)


tan.vjp(lambda g, y, x: multiply(g, add(multiply(y, y), 1.0)))


def _cathetus(x: Array) -> Array:
    """``sqrt(1 - x**2)``."""
    return sqrt(multiply(subtract(1.0, x), add(x, 1.0)))


@primitive
def asin(x: Array, /) -> Array:
    """Elementwise inverse sine, in [-pi/2, pi/2]; at -1 and 1 the gradient is infinite.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> asin(np.asarray([0.0])).tolist()
        [0.0]
    """
    return namespace(x).asin(x)


asin.vjp(lambda g, y, x: divide(g, _cathetus(x)))


@primitive
def acos(x: Array, /) -> Array:
    """Elementwise inverse cosine, in [0, pi]; at -1 and 1 the gradient is infinite.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> acos(np.asarray([1.0])).tolist()
        [0.0]
    """
    return namespace(x).acos(x)


acos.vjp(lambda g, y, x: negative(divide(g, _cathetus(x))))


def _atan_rule(g: Array, y: Array, x: Array) -> Array:
    """``g / (1 + x**2)``."""
    h = hypot(x, 1.0)
    return divide(divide(g, h), h)


@primitive
def atan(x: Array, /) -> Array:
    """Elementwise inverse tangent, in [-pi/2, pi/2].

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> atan(np.asarray([0.0, 1.0])).tolist()
        [0.0, 0.7853981633974483]
    """
    return namespace(x).atan(x)


atan.vjp(_atan_rule)


def _over_square_radius(g: Array, x: ArrayLike, x1: ArrayLike, x2: ArrayLike) -> Array:
    """``g * x / (x1**2 + x2**2)``, and 0 at the origin and at infinity."""
    r = hypot(x1, x2)
    singular = logical_or(equal(r, 0.0), isinf(r))
    r = where(singular, 1.0, r)
    return divide(multiply(g, where(singular, 0.0, divide(x, r))), r)


@primitive
def atan2(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise angle of the point (`x2`, `x1`) from the first axis, in [-pi, pi].

    At the origin, where the angle has no derivative, the gradient is 0.

    Args:
        x1: real floating-point array, or a Python scalar if `x2` is an array.
        x2: real floating-point array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> atan2(np.asarray([1.0, 0.0]), np.asarray([1.0, -1.0])).tolist()
        [0.7853981633974483, 3.141592653589793]
    """
    return namespace(x1, x2).atan2(x1, x2)


atan2.vjp(
    lambda g, y, x1, x2: match(show_nan(_over_square_radius(g, x2, x1, x2), y), x1),
    lambda g, y, x1, x2: match(show_nan(negative(_over_square_radius(g, x1, x1, x2)), y), x2),
)
