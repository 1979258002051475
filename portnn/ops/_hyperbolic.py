"""Hyperbolic functions and their inverses.

The rules avoid squares that overflow: 1 + x**2 is the square of ``hypot(1, x)``.
"""

from __future__ import annotations

from portnn._typing import Array
from portnn.ops._arithmetic import add, divide, multiply, subtract
from portnn.ops._exponential import hypot, sqrt
from portnn.tracing import namespace, primitive

__all__ = ["acosh", "asinh", "atanh", "cosh", "sinh", "tanh"]


def _sinh_rule(g: Array, y: Array, x: Array) -> Array:
    return multiply(g, cosh(x))


@primitive
def sinh(x: Array, /) -> Array:
    """Elementwise hyperbolic sine.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> sinh(np.asarray([0.0, 1.0])).tolist()
        [0.0, 1.1752011936438014]
    """
    return namespace(x).sinh(x)


sinh.vjp(_sinh_rule)


@primitive
def cosh(x: Array, /) -> Array:
    """Elementwise hyperbolic cosine.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> cosh(np.asarray([0.0])).tolist()
        [1.0]
    """
    return namespace(x).cosh(x)


cosh.vjp(lambda g, y, x: multiply(g, sinh(x)))


@primitive
def tanh(x: Array, /) -> Array:
    """Elementwise hyperbolic tangent.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> tanh(np.asarray([0.0, 100.0])).tolist()
        [0.0, 1.0]
    """
    return namespace(x).tanh(x)


tanh.vjp(lambda g, y, x: multiply(g, subtract(1.0, multiply(y, y))))


@primitive
def asinh(x: Array, /) -> Array:
    """Elementwise inverse hyperbolic sine.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> asinh(np.asarray([0.0])).tolist()
        [0.0]
    """
    return namespace(x).asinh(x)


asinh.vjp(lambda g, y, x: divide(g, hypot(x, 1.0)))


@primitive
def acosh(x: Array, /) -> Array:
    """Elementwise inverse hyperbolic cosine of values from 1; at 1 the gradient is infinite.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> acosh(np.asarray([1.0])).tolist()
        [0.0]
    """
    return namespace(x).acosh(x)


acosh.vjp(lambda g, y, x: divide(g, multiply(sqrt(subtract(x, 1.0)), sqrt(add(x, 1.0)))))


@primitive
def atanh(x: Array, /) -> Array:
    """Elementwise inverse hyperbolic tangent of values in (-1, 1).

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> atanh(np.asarray([0.0])).tolist()
        [0.0]
    """
    return namespace(x).atanh(x)


atanh.vjp(lambda g, y, x: divide(g, multiply(subtract(1.0, x), add(x, 1.0))))
