"""Options that are no arrays, checked with one wording for the answers."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from operator import index
from typing import Any

from portnn.tracing import RecordedArray, TracedArray, is_kind

__all__ = [
    "check_flag",
    "check_number",
    "check_positive",
    "check_whole",
    "check_word",
    "refuse_complex",
    "whole_text",
]


def check_number(function: str, name: str, value: Any) -> float:
    """An option that is a finite real number, perhaps NumPy's; as one of Python.

    Raises:
        TypeError: if it is no number, or is traced: an option has no gradient.
        ValueError: if it is infinite or NaN.
    """
    if type(value) is not float:
        kinds = bool | str | TracedArray | RecordedArray
        if isinstance(value, kinds) or not hasattr(value, "__float__") or getattr(value, "shape", ()) != ():
            raise TypeError(f"{function}: {name} must be a number, got {type(value).__name__}")
        value = float(value)
    if not isfinite(value):
        raise ValueError(f"{function}: {name} must be finite, got {value}")
    return value


def check_positive(function: str, name: str, value: Any) -> float:
    """An option that is a number above zero."""
    number = check_number(function, name, value)
    if number <= 0:
        raise ValueError(f"{function}: {name} must be positive, got {number}")
    return number


def check_whole(function: str, name: str, value: Any, least: float = -inf) -> int:
    """An option that is an integer, perhaps NumPy's; as one of Python.

    Raises:
        TypeError: if it is none.
        ValueError: if it is too small.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or getattr(value, "shape", ()) != ():
        raise TypeError(f"{function}: {name} must be an integer, got {type(value).__name__}")
    number = index(value)
    if number < least:
        raise ValueError(f"{function}: {name} must be at least {least}, got {whole_text(number)}")
    return number


def whole_text(number: int) -> str:
    """Return an integer as text, or how many bits it has: Python refuses to write the longest."""
    return str(number) if abs(number) < 2**128 else f"one of {number.bit_length()} bits"


def refuse_complex(function: str, **arrays: Any) -> None:
    """Check that the arrays of a real function are real; None is skipped.

    Raises:
        TypeError: if one is complex; the message names it.
    """
    for name, array in arrays.items():
        if array is not None and is_kind(array, "complex floating"):
            raise TypeError(
                f"{function}: {name} must be real, got dtype {array.dtype}; take ops.real and ops.imag"
            )


def check_flag(function: str, name: str, value: Any) -> bool:
    """An option that is True or False, perhaps NumPy's; a text or a list has a truth value too."""
    if value is True or value is False:
        return bool(value)
    if str(getattr(value, "dtype", "")) != "bool" or value.shape != ():
        raise TypeError(f"{function}: {name} must be True or False, got {type(value).__name__}")
    return bool(value)


def check_word(function: str, name: str, value: Any, words: Sequence[str]) -> str:
    """Return an option that is one of some strings.

    Raises:
        TypeError: if it is not a string.
        ValueError: if it is another string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{function}: {name} must be one of {', '.join(words)}, got {type(value).__name__}")
    if value not in words:
        raise ValueError(f"{function}: {name} must be one of {', '.join(words)}, got {value!r:.40}")
    return value
