"""Arithmetic: two arrays, element by element, with broadcasting and type promotion."""

from __future__ import annotations

from portnn._typing import Array, ArrayLike
from portnn.ops._broadcasting import astype, match, show_nan
from portnn.ops._comparison import greater, greater_equal
from portnn.tracing import constant, namespace, primitive

__all__ = [
    "add", "divide", "floor_divide", "maximum", "minimum", "multiply", "negative", "positive",
    "remainder", "subtract",
]  # fmt: skip


@primitive
def add(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise sum ``x1 + x2``.

    Args:
        x1: numeric array, or a Python scalar if `x2` is an array.
        x2: numeric array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The sum, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> add(np.asarray([1.0, 2.0]), 3.0).tolist()
        [4.0, 5.0]
    """
    return namespace(x1, x2).add(x1, x2)


add.vjp(
    lambda g, y, x1, x2: match(g, x1),
    lambda g, y, x1, x2: match(g, x2),
)


@primitive
def negative(x: Array, /) -> Array:
    """Elementwise ``-x``.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> negative(np.asarray([1.0, -2.0])).tolist()
        [-1.0, 2.0]
    """
    return namespace(x).negative(x)


negative.vjp(lambda g, y, x: negative(g))


@primitive
def subtract(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise difference ``x1 - x2``.

    Args:
        x1: numeric array, or a Python scalar if `x2` is an array.
        x2: numeric array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The difference, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> subtract(3.0, np.asarray([1.0, 2.0])).tolist()
        [2.0, 1.0]
    """
    return namespace(x1, x2).subtract(x1, x2)


subtract.vjp(
    lambda g, y, x1, x2: match(g, x1),
    lambda g, y, x1, x2: match(negative(g), x2),
)


@primitive
def multiply(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise product ``x1 * x2``.

    Args:
        x1: numeric array, or a Python scalar if `x2` is an array.
        x2: numeric array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The product, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> multiply(np.asarray([[1.0], [2.0]]), np.asarray([3.0, 4.0])).tolist()
        [[3.0, 4.0], [6.0, 8.0]]
    """
    return namespace(x1, x2).multiply(x1, x2)


multiply.vjp(
    lambda g, y, x1, x2: match(multiply(g, x2), x1),
    lambda g, y, x1, x2: match(multiply(g, x1), x2),
)


@primitive
def divide(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise quotient ``x1 / x2`` of floating-point arrays.

    Args:
        x1: floating-point array, or a Python scalar if `x2` is an array.
        x2: floating-point array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The quotient, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> divide(np.asarray([1.0, 6.0]), np.asarray([2.0, 3.0])).tolist()
        [0.5, 2.0]
    """
    return namespace(x1, x2).divide(x1, x2)


divide.vjp(
    lambda g, y, x1, x2: match(divide(g, x2), x1),
    lambda g, y, x1, x2: match(negative(multiply(g, divide(y, x2))), x2),
)


def _of_larger(g: Array, y: Array, x1: ArrayLike, x2: ArrayLike) -> Array:
    """Return the gradient by x1: g where x1 > x2, half of it at a tie, 0 elsewhere; NaN where `y` is NaN."""
    larger = astype(greater(x1, x2), g.dtype)
    share = multiply(add(larger, astype(greater_equal(x1, x2), g.dtype)), 0.5)
    return show_nan(multiply(g, share), y)


@primitive
def maximum(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise larger value; at a tie the gradient is shared equally, and at NaN it is NaN.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The maximum, of the broadcast shape and promoted dtype; NaN where either is NaN.

    Example:
        >>> import numpy as np
        >>> maximum(np.asarray([-1.0, 2.0]), 0.0).tolist()
        [0.0, 2.0]
    """
    return namespace(x1, x2).maximum(x1, x2)


maximum.vjp(
    lambda g, y, x1, x2: match(_of_larger(g, y, x1, x2), x1),
    lambda g, y, x1, x2: match(_of_larger(g, y, x2, x1), x2),
)


@primitive
def minimum(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise smaller value; at a tie the gradient is shared equally, and at NaN it is NaN.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The minimum, of the broadcast shape and promoted dtype; NaN where either is NaN.

    Example:
        >>> import numpy as np
        >>> minimum(np.asarray([-1.0, 2.0]), 0.0).tolist()
        [-1.0, 0.0]
    """
    return namespace(x1, x2).minimum(x1, x2)


minimum.vjp(
    lambda g, y, x1, x2: match(_of_larger(g, y, x2, x1), x1),
    lambda g, y, x1, x2: match(_of_larger(g, y, x1, x2), x2),
)


@primitive
def positive(x: Array, /) -> Array:
    """Elementwise ``+x``.

    Args:
        x: numeric array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> positive(np.asarray([1.0, -2.0])).tolist()
        [1.0, -2.0]
    """
    return namespace(x).positive(x)


positive.vjp(lambda g, y, x: g)


@constant
def floor_divide(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise quotient rounded towards minus infinity; its derivative is zero.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The rounded quotient, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> floor_divide(np.asarray([7.0, -7.0]), 2.0).tolist()
        [3.0, -4.0]
    """
    return namespace(x1, x2).floor_divide(x1, x2)


@primitive
def remainder(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise remainder of division, with the sign of the divisor: ``x1 - floor(x1 / x2) * x2``.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        The remainder, of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> remainder(np.asarray([7.0, -7.0]), 4.0).tolist()
        [3.0, 1.0]
    """
    return namespace(x1, x2).remainder(x1, x2)


remainder.vjp(
    lambda g, y, x1, x2: match(g, x1),
    lambda g, y, x1, x2: match(negative(multiply(g, floor_divide(x1, x2))), x2),
)
