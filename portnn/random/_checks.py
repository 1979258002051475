"""What draws are asked for: shapes, dtypes and numbers, checked before anything is drawn."""

from __future__ import annotations

from math import isfinite
from operator import index
from typing import Any

import numpy as np
from array_api_compat import device

from portnn._typing import Array, DType, Namespace
from portnn.random._keys import check_key
from portnn.tracing import TracedArray, namespace

__all__ = ["check_dtype", "check_interval", "check_shape"]


def check_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of non-negative integers."""
    try:
        found = tuple([index(n) for n in shape]) if isinstance(shape, tuple | list) else (index(shape),)
    except TypeError:
        raise TypeError(
            f"{name}: shape must be an integer or a tuple of integers, got {type(shape).__name__}"
        ) from None
    if min(found, default=0) < 0:
        raise ValueError(f"{name}: shape must not be negative, got {found}")
    return found


def check_dtype(name: str, key: Array, dtype: Any) -> str:
    """The name of a floating-point dtype that the key's library and device have; the key is checked first."""
    check_key(name, key)
    plain = key.plain if type(key) is TracedArray else key
    xp = namespace(plain)
    found = dtype if isinstance(dtype, str) else str(dtype).rpartition(".")[2].removesuffix("'>")
    if found not in ("float32", "float64"):
        raise ValueError(f"{name}: dtype must be 'float32' or 'float64', got {str(dtype)[:40]!r}")
    if found == "float64" and "float64" not in _dtypes(xp, plain):
        raise ValueError(
            f"{name}: float64 is not to be had here; JAX has it after "
            'jax.config.update("jax_enable_x64", True)'
        )
    return found


def _dtypes(xp: Namespace, x: Array) -> dict[str, DType]:
    found: dict[str, DType] = xp.__array_namespace_info__().dtypes(device=device(x), kind="real floating")
    return found


def check_interval(name: str, low: Any, high: Any, dtype: str) -> tuple[float, float]:
    """Two numbers, the first below the second, which a dtype can hold as well as their distance."""
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        kinds = f"{type(low).__name__} and {type(high).__name__}"
        raise TypeError(
            f"{name}: the ends must be numbers, got {kinds}; scale what is drawn instead"
        ) from None
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(f"{name}: expected finite numbers, the first below the second, got {low} and {high}")
    if max(-low, high, high - low) > float(np.finfo(dtype).max):
        raise ValueError(f"{name}: {low} and {high} are too far out or apart for {dtype}")
    return low, high
