"""The mathematics of schedules, on Python numbers and on 0-d arrays alike."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from portnn import ops
from portnn._typing import Array

__all__ = ["Number", "at_least", "at_most", "cos", "floor", "log", "pick", "power", "real_step"]

Number: TypeAlias = Any
"""A Python float, or a 0-d floating-point array."""


def is_python(x: Number) -> bool:
    """Whether `x` is a Python number; NumPy's float64, a subclass of float, is not."""
    return type(x) in (int, float)


def real_step(step: Any) -> Number:
    """The step as a real number: a float, or an array of its own floating-point dtype, else float32."""
    if is_python(step):
        return float(step)
    shape = getattr(step, "shape", None)
    if shape is None or isinstance(step, bool):
        raise TypeError(f"step must be an int or a 0-d array, got {type(step).__name__}; count steps from 0")
    if tuple(shape) != ():
        raise ValueError(f"step must be an int or a 0-d array, got shape {tuple(shape)}; give one step")
    return step if ops.isdtype(step.dtype, "real floating") else ops.astype(step, "float32")


def at_least(x: Number, bound: float) -> Number:
    """The larger of a number and a bound."""
    return max(x, bound) if is_python(x) else ops.maximum(x, bound)


def at_most(x: Number, bound: float) -> Number:
    """The smaller of a number and a bound."""
    return min(x, bound) if is_python(x) else ops.minimum(x, bound)


def cos(x: Number) -> Number:
    """Cosine of an angle in radians."""
    return math.cos(x) if is_python(x) else ops.cos(x)


def floor(x: Number) -> Number:
    """The largest whole number that is not above `x`."""
    return float(math.floor(x)) if is_python(x) else ops.floor(x)


def log(x: Number) -> Number:
    """Natural logarithm."""
    return math.log(x) if is_python(x) else ops.log(x)


def power(base: Number, exponent: Number) -> Number:
    """``base**exponent``; one of them may be an array."""
    return base**exponent if is_python(base) and is_python(exponent) else ops.pow(base, exponent)


def pick(condition: bool | Array, yes: Number, no: Number) -> Number:
    """`yes` where the condition holds, else `no`; of an array condition, one of the two is an array."""
    if isinstance(condition, bool):
        return yes if condition else no
    return ops.where(condition, yes, no)
