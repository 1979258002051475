"""What every activation asks of its input: a real floating-point array."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array
from portnn.trace import TracedArray, namespace

__all__ = ["check_floating"]

# Kinds of array that were found to be real floating-point. The array's type stands first, so that dtypes of
# different libraries are never compared: array-api-strict warns of that.
_floating: set[tuple[type, Any]] = set()


def check_floating(name: str, x: Array) -> None:
    """Raise a TypeError, in the name of the function `name`, unless `x` is real and floating-point."""
    if type(x) is TracedArray:
        x = x.plain
    if (type(x), getattr(x, "dtype", None)) not in _floating:
        _ask_library(name, x)


def _ask_library(name: str, x: Array) -> None:
    try:
        xp = namespace(x)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if not xp.isdtype(x.dtype, "real floating"):
        raise TypeError(
            f"{name}: expected a real floating-point array, got dtype {x.dtype}; convert it with astype"
        )
    _floating.add((type(x), x.dtype))
