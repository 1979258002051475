"""What every activation asks of its input: a real floating-point array."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array
from portnn.trace import TracedArray, namespace

__all__ = ["check_floating"]

_floating: set[Any] = set()  # the dtypes of any library that were found to be real floating-point


def check_floating(name: str, x: Array) -> None:
    """Raise a TypeError, in the name of the function `name`, unless `x` is real and floating-point."""
    if getattr(x, "dtype", None) not in _floating:
        _ask_library(name, x)


def _ask_library(name: str, x: Array) -> None:
    plain = x.plain if type(x) is TracedArray else x
    try:
        xp = namespace(plain)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if not xp.isdtype(plain.dtype, "real floating"):
        raise TypeError(
            f"{name}: expected a real floating-point array, got dtype {plain.dtype}; convert it with astype"
        )
    _floating.add(plain.dtype)
