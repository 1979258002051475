"""The names of NumPy's functions in the standard."""

from __future__ import annotations

from typing import Any

__all__ = ["standard_name"]

# Where NumPy's name is not the standard's.
_NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "conjugate": "conj", "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift", "power": "pow", "right_shift": "bitwise_right_shift",
    "true_divide": "divide",
}  # fmt: skip


def standard_name(ufunc: Any) -> str:
    """Return the standard's name of a NumPy or CuPy function.

    Args:
        ufunc: the function; CuPy's names begin with "cupy_".
    """
    name: str = ufunc.__name__.removeprefix("cupy_")
    return _NAMES.get(name, name)
