"""Check that all numbers are finite in one pass over them."""

from __future__ import annotations

from math import isfinite
from typing import Any

import array_api_compat
import numpy as np

from portnn._typing import Array, DType

__all__ = ["all_finite", "cast_finite"]


def all_finite(x: Array) -> bool:
    """Return whether no number is NaN or infinite.

    On NumPy the sum of the squares tells it in one pass by BLAS: it is finite only if all numbers are. It may
    overflow for large numbers, so one that is not finite makes the function look at the extremes.

    Args:
        x: real floating-point numbers of any library and shape.

    Example:
        >>> all_finite(np.asarray([1.0, 1e300])), all_finite(np.asarray([1.0, np.nan]))
        (True, False)
    """
    if 0 in x.shape:
        return True
    if type(x) is np.ndarray and x.dtype in _BLAS and (x.flags.c_contiguous or x.flags.f_contiguous):
        flat = x.reshape(-1, order="A")  # a view
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if isfinite(np.dot(flat, flat)):
                return True
    xp: Any = array_api_compat.array_namespace(x)
    # NaN is larger and smaller than everything.
    return bool(xp.isfinite(xp.max(x))) and bool(xp.isfinite(xp.min(x)))


_BLAS = frozenset({np.dtype("float32"), np.dtype("float64")})


def cast_finite(x: Array, dtype: DType) -> Array | None:
    """Return numbers in another floating-point dtype; None if one is not finite, or is too large for it.

    Args:
        x: real floating-point numbers.
        dtype: of the result.

    Example:
        >>> cast_finite(np.asarray([1.0, 2.0]), np.float32), cast_finite(np.asarray([1e300]), np.float32)
        (array([1., 2.], dtype=float32), None)
    """
    if x.dtype != dtype:
        xp: Any = array_api_compat.array_namespace(x)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # too large becomes infinite
            x = xp.astype(x, dtype)
    return x if all_finite(x) else None
