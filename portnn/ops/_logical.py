"""Logic, bits and questions about values: piecewise constant, so constants for every derivative."""

from __future__ import annotations

from portnn._typing import Array, ArrayLike
from portnn.tracing import constant, namespace

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "isfinite", "isinf", "isnan", "logical_and", "logical_not", "logical_or", "logical_xor", "signbit",
]  # fmt: skip


@constant
def logical_and(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 and x2``.

    Args:
        x1: boolean array, or a Python scalar if `x2` is an array.
        x2: boolean array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> logical_and(np.asarray([True, True]), np.asarray([True, False])).tolist()
        [True, False]
    """
    return namespace(x1, x2).logical_and(x1, x2)


@constant
def logical_or(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 or x2``.

    Args:
        x1: boolean array, or a Python scalar if `x2` is an array.
        x2: boolean array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> logical_or(np.asarray([False, True]), np.asarray([False, False])).tolist()
        [False, True]
    """
    return namespace(x1, x2).logical_or(x1, x2)


@constant
def logical_not(x: Array, /) -> Array:
    """Elementwise ``not x``.

    Args:
        x: boolean array.

    Returns:
        Booleans of the same shape.

    Example:
        >>> import numpy as np
        >>> logical_not(np.asarray([True, False])).tolist()
        [False, True]
    """
    return namespace(x).logical_not(x)


@constant
def logical_xor(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """True where exactly one of `x1` and `x2` is.

    Args:
        x1: boolean array, or a Python scalar if `x2` is an array.
        x2: boolean array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> logical_xor(np.asarray([True, True]), np.asarray([True, False])).tolist()
        [False, True]
    """
    return namespace(x1, x2).logical_xor(x1, x2)


@constant
def bitwise_and(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Bits that are set in both ``x1`` and ``x2``.

    Args:
        x1: integer or boolean array, or a Python scalar if `x2` is an array.
        x2: integer or boolean array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> bitwise_and(np.asarray([6, 5]), 3).tolist()
        [2, 1]
    """
    return namespace(x1, x2).bitwise_and(x1, x2)


@constant
def bitwise_or(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Bits that are set in ``x1`` or ``x2``.

    Args:
        x1: integer or boolean array, or a Python scalar if `x2` is an array.
        x2: integer or boolean array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> bitwise_or(np.asarray([6, 5]), 3).tolist()
        [7, 7]
    """
    return namespace(x1, x2).bitwise_or(x1, x2)


@constant
def bitwise_xor(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Bits that are set in exactly one of ``x1`` and ``x2``.

    Args:
        x1: integer or boolean array, or a Python scalar if `x2` is an array.
        x2: integer or boolean array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> bitwise_xor(np.asarray([6, 5]), 3).tolist()
        [5, 6]
    """
    return namespace(x1, x2).bitwise_xor(x1, x2)


@constant
def bitwise_invert(x: Array, /) -> Array:
    """Every bit of `x` flipped.

    Args:
        x: integer or boolean array.

    Returns:
        An array of the same shape and dtype.

    Example:
        >>> import numpy as np
        >>> bitwise_invert(np.asarray([0, 5])).tolist()
        [-1, -6]
    """
    return namespace(x).bitwise_invert(x)


@constant
def bitwise_left_shift(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Bits of `x1` moved left by `x2` places: ``x1 * 2**x2``.

    `x2` is not negative.

    Args:
        x1: integer array, or a Python scalar if `x2` is an array.
        x2: integer array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> bitwise_left_shift(np.asarray([1, 3]), 2).tolist()
        [4, 12]
    """
    return namespace(x1, x2).bitwise_left_shift(x1, x2)


@constant
def bitwise_right_shift(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Bits of `x1` moved right by `x2` places: ``floor(x1 / 2**x2)``.

    `x2` is not negative.

    Args:
        x1: integer array, or a Python scalar if `x2` is an array.
        x2: integer array that broadcasts with `x1`, or a Python scalar.

    Returns:
        An array of the broadcast shape and promoted dtype.

    Example:
        >>> import numpy as np
        >>> bitwise_right_shift(np.asarray([4, -5]), 1).tolist()
        [2, -3]
    """
    return namespace(x1, x2).bitwise_right_shift(x1, x2)


@constant
def isnan(x: Array, /) -> Array:
    """Whether each element is NaN.

    Args:
        x: numeric array.

    Returns:
        Booleans of the same shape.

    Example:
        >>> import numpy as np
        >>> isnan(np.asarray([1.0, np.nan])).tolist()
        [False, True]
    """
    return namespace(x).isnan(x)


@constant
def isinf(x: Array, /) -> Array:
    """Whether each element is infinite.

    Args:
        x: numeric array.

    Returns:
        Booleans of the same shape.

    Example:
        >>> import numpy as np
        >>> isinf(np.asarray([1.0, -np.inf])).tolist()
        [False, True]
    """
    return namespace(x).isinf(x)


@constant
def isfinite(x: Array, /) -> Array:
    """Whether each element is neither infinite nor NaN.

    Args:
        x: numeric array.

    Returns:
        Booleans of the same shape.

    Example:
        >>> import numpy as np
        >>> isfinite(np.asarray([1.0, np.inf, np.nan])).tolist()
        [True, False, False]
    """
    return namespace(x).isfinite(x)


@constant
def signbit(x: Array, /) -> Array:
    """Whether the sign bit of each element is set, which tells -0.0 from 0.0.

    Args:
        x: real floating-point array.

    Returns:
        Booleans of the same shape.

    Example:
        >>> import numpy as np
        >>> signbit(np.asarray([-0.0, 0.0, -2.0])).tolist()
        [True, False, True]
    """
    return namespace(x).signbit(x)
