"""Exponentials, logarithms and roots.

Where a derivative is infinite (`sqrt`, `log` and `reciprocal` at 0), the gradient is infinite too, and NumPy
warns of a division by zero, as it does for logarithms themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log as scalar_log
from typing import Any

from portnn._typing import Array, ArrayLike
from portnn.ops._arithmetic import add, divide, multiply, negative
from portnn.ops._broadcasting import match, where
from portnn.ops._comparison import equal
from portnn.ops._logical import isinf, logical_or
from portnn.ops._rounding import abs as abs_
from portnn.ops._rounding import sign
from portnn.tracing import TracedArray, namespace, primitive

__all__ = [
    "exp", "expm1", "hypot", "log", "log1p", "log2", "log10", "logaddexp", "reciprocal", "sqrt",
    "square",
]  # fmt: skip


@primitive
def exp(x: Array, /) -> Array:
    """Elementwise ``e**x``.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> exp(np.asarray([0.0, 1.0])).tolist()
        [1.0, 2.718281828459045]
    """
    return namespace(x).exp(x)


exp.vjp(lambda g, y, x: multiply(g, y))


@primitive
def expm1(x: Array, /) -> Array:
    """Elementwise ``e**x - 1``, accurate also for small `x`.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> expm1(np.asarray([0.0, 1e-20])).tolist()
        [0.0, 1e-20]
    """
    return namespace(x).expm1(x)


expm1.vjp(lambda g, y, x: multiply(g, exp(x)))


@primitive
def log(x: Array, /) -> Array:
    """Elementwise natural logarithm.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> log(np.asarray([1.0, np.e])).tolist()
        [0.0, 1.0]
    """
    return namespace(x).log(x)


log.vjp(lambda g, y, x: divide(g, x))


@primitive
def log1p(x: Array, /) -> Array:
    """Elementwise ``log(1 + x)``, accurate also for small `x`.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> log1p(np.asarray([0.0, 1e-20])).tolist()
        [0.0, 1e-20]
    """
    return namespace(x).log1p(x)


log1p.vjp(lambda g, y, x: divide(g, add(x, 1.0)))


@primitive
def log2(x: Array, /) -> Array:
    """Elementwise logarithm to base 2.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> log2(np.asarray([1.0, 8.0])).tolist()
        [0.0, 3.0]
    """
    return namespace(x).log2(x)


log2.vjp(lambda g, y, x: divide(g, multiply(x, scalar_log(2.0))))


@primitive
def log10(x: Array, /) -> Array:
    """Elementwise logarithm to base 10.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> log10(np.asarray([1.0, 1000.0])).tolist()
        [0.0, 3.0]
    """
    return namespace(x).log10(x)


log10.vjp(lambda g, y, x: divide(g, multiply(x, scalar_log(10.0))))


@primitive
def _logistic(x: Array, /) -> Array:
    """1 / (1 + exp(-x)), from the exponential of -|x|, which cannot overflow."""
    xp = namespace(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1.0 + e)


_logistic.vjp(lambda g, y, x: multiply(g, multiply(y, _logistic(negative(x)))))


@primitive
def _gap(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """x1 - x2, and 0 where they are equal, infinities included."""
    xp = namespace(x1, x2)
    x1 = xp.full_like(x2, x1) if isinstance(x1, int | float) else x1
    x2 = xp.full_like(x1, x2) if isinstance(x2, int | float) else x2
    same = x1 == x2
    return xp.where(same, 0.0, x1) - xp.where(same, 0.0, x2)


_gap.vjp(
    lambda g, y, x1, x2: match(g, x1),
    lambda g, y, x1, x2: match(negative(g), x2),
)


@primitive
def logaddexp(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``log(exp(x1) + exp(x2))`` without overflow.

    The gradient by `x1` is the logistic function of ``x1 - x2``, 1/2 where both are the same infinity.

    Args:
        x1: real floating-point array, or a Python scalar if `x2` is an array.
        x2: real floating-point array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> logaddexp(np.asarray([1000.0, -np.inf]), np.asarray([0.0, 2.0])).tolist()
        [1000.0, 2.0]
    """
    return namespace(x1, x2).logaddexp(x1, x2)


logaddexp.vjp(
    lambda g, y, x1, x2: match(multiply(g, _logistic(_gap(x1, x2))), x1),
    lambda g, y, x1, x2: match(multiply(g, _logistic(_gap(x2, x1))), x2),
)


@primitive
def sqrt(x: Array, /) -> Array:
    """Elementwise square root; at 0 the gradient is infinite.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> sqrt(np.asarray([4.0, 9.0])).tolist()
        [2.0, 3.0]
    """
    return namespace(x).sqrt(x)


sqrt.vjp(lambda g, y, x: divide(multiply(g, 0.5), y))


@primitive
def _square(x: Array, /) -> Array:
    return namespace(x).square(x)


_square.vjp(lambda g, y, x: multiply(g, multiply(x, 2.0)))
_square.name = "square"  # the name in errors

# Primitives that have a kink but a smooth square, with the gradient of that square by their arguments.
smooth_squares: dict[Any, Callable[..., tuple[Array | None, ...]]] = {}


@primitive
def _square_of(y: Array, /, *args: Array, of: Any, options: dict[str, Any]) -> Array:
    return namespace(y).square(y)


_square_of.vjp_joint(
    lambda g, _, y, *args, of, options: [None, *smooth_squares[of](g, *args, **options)],
)


def smooth_square(x: Array) -> Array | None:
    """Return the square of a norm under differentiation, as a function of the norm's argument; else None.

    The chain rule would make its second derivative at 0 a product of 0 and a slope that jumps.
    """
    node = x.node if type(x) is TracedArray else None
    if node is None or node.primitive not in smooth_squares:
        return None
    boxes = zip(node.args, node.parents, strict=True)
    args = [a if parent is None else TracedArray(a, x.trace, parent) for a, parent in boxes]
    return _square_of(x, *args, of=node.primitive, options=node.options)


def square(x: Array, /) -> Array:
    """Elementwise ``x * x``; the square of a norm is differentiated as a sum of squares, also at 0.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> square(np.asarray([2.0, -3.0])).tolist()
        [4.0, 9.0]
    """
    y = smooth_square(x)
    return _square(x) if y is None else y


@primitive
def reciprocal(x: Array, /) -> Array:
    """Elementwise ``1 / x``.

    Args:
        x: floating-point array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> reciprocal(np.asarray([2.0, -4.0])).tolist()
        [0.5, -0.25]
    """
    return namespace(x).reciprocal(x)


reciprocal.vjp(lambda g, y, x: negative(multiply(g, multiply(y, y))))


def direction(x: Array, norm: Array) -> Array:
    """``x / norm``, the slope of a norm; at norms of 0 and infinity, the sign of infinite `x`, else 0."""
    singular = logical_or(equal(norm, 0.0), isinf(norm))
    return divide(where(singular, where(isinf(x), sign(x), 0.0), x), where(singular, 1.0, norm))


@primitive
def hypot(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``sqrt(x1**2 + x2**2)`` without overflow; at (0, 0) the gradient is 0.

    Args:
        x1: real floating-point array, or a Python scalar if `x2` is an array.
        x2: real floating-point array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> hypot(np.asarray([3.0, 0.0]), np.asarray([4.0, 1e300])).tolist()
        [5.0, 1e+300]
    """
    return namespace(x1, x2).hypot(x1, x2)


def _twice(g: Array, *args: ArrayLike) -> tuple[Array | None, ...]:
    """Return the gradient of a sum of squares; a number has none."""
    return tuple(
        [None if isinstance(x, int | float) else match(multiply(g, multiply(x, 2.0)), x) for x in args]
    )


smooth_squares[hypot] = smooth_squares[abs_] = _twice
hypot.vjp(
    lambda g, y, x1, x2: match(multiply(g, direction(x1, y)), x1),
    lambda g, y, x1, x2: match(multiply(g, direction(x2, y)), x2),
)
