"""Comparisons: piecewise constant, so their results are constants for every derivative."""

from __future__ import annotations

from portnn._typing import Array, ArrayLike
from portnn.tracing import constant, namespace

__all__ = ["equal", "greater", "greater_equal", "less", "less_equal", "not_equal"]


@constant
def equal(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 == x2``.

    Args:
        x1: an array, or a Python scalar if `x2` is an array.
        x2: an array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> equal(np.asarray([1, 2]), 2).tolist()
        [False, True]
    """
    return namespace(x1, x2).equal(x1, x2)


@constant
def not_equal(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 != x2``.

    Args:
        x1: an array, or a Python scalar if `x2` is an array.
        x2: an array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> not_equal(np.asarray([1, 2]), 2).tolist()
        [True, False]
    """
    return namespace(x1, x2).not_equal(x1, x2)


@constant
def less(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 < x2``.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> less(np.asarray([1, 2]), 2).tolist()
        [True, False]
    """
    return namespace(x1, x2).less(x1, x2)


@constant
def less_equal(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 <= x2``.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> less_equal(np.asarray([1, 2, 3]), 2).tolist()
        [True, True, False]
    """
    return namespace(x1, x2).less_equal(x1, x2)


@constant
def greater(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 > x2``.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> greater(np.asarray([1, 3]), 2).tolist()
        [False, True]
    """
    return namespace(x1, x2).greater(x1, x2)


@constant
def greater_equal(x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elementwise ``x1 >= x2``.

    Args:
        x1: real array, or a Python scalar if `x2` is an array.
        x2: real array that broadcasts with `x1`, or a Python scalar.

    Returns:
        Booleans of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> greater_equal(np.asarray([1, 2, 3]), 2).tolist()
        [False, True, True]
    """
    return namespace(x1, x2).greater_equal(x1, x2)
