"""How far two results of one line are apart, and how far they may be."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Any, final

from portnn._typing import Array
from portnn.backend import get_backend
from portnn.program._cost import contraction
from portnn.program._line import Line, dtype_name
from portnn.tracing import namespace

__all__ = ["Difference", "difference", "on_host", "scale_of", "tolerated"]

# The distance from 1 to the next number (IEEE 754 binary16, 32 and 64; bfloat16 keeps 8 bits).
_EPS = {
    "bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52,
    "complex64": 2.0**-23, "complex128": 2.0**-52,
}  # fmt: skip
_ROUNDINGS = 32.0
_SUMS = ("cumulative_sum", "linalg.trace", "mean", "sum")
_PRODUCTS = ("linalg.matmul", "linalg.tensordot", "linalg.vecdot", "matmul", "tensordot", "vecdot")


@final
@dataclass(frozen=True)
class Difference:
    """The largest difference, the same over the size of the numbers, and what else there is to say."""

    absolute: float
    relative: float
    note: str = ""


def on_host(x: Array) -> Any:
    """An array of any library in host memory, floating-point numbers in double precision."""
    host = get_backend("numpy")
    xp = host.xp
    if dtype_name(x.dtype) == "bfloat16":  # which NumPy has not got
        library = namespace(x)
        x = library.astype(x, library.float32)
    found = xp.asarray(host.to_numpy(x))
    if xp.isdtype(found.dtype, "complex floating"):
        return xp.astype(found, xp.complex128)
    return xp.astype(found, xp.float64) if xp.isdtype(found.dtype, "real floating") else found


def tolerated(line: Line, dtypes: list[str]) -> float:
    """What the relative difference of a line may be: 32 roundings, times the root of the terms in a sum.

    Rounding errors of a sum of n terms grow as the root of n (Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd edition, section 2.8). Integers and booleans must be equal.
    """
    eps = max([_EPS.get(name, 0.0) for name in dtypes], default=0.0)
    return _ROUNDINGS * eps * sqrt(max([contraction(call) for call in line.calls], default=1))


def scale_of(line: Line, inputs: list[Any], results: list[Any]) -> float:
    """The size of the numbers that a line's rounding errors are measured by.

    It is the largest result, or for sums the largest term if that is larger, so that terms that cancel each
    other are no false alarm; for products of matrices the largest product of two entries.
    """
    scale = max([_largest(x) for x in results], default=0.0)
    sizes = sorted([_largest(x) for x in inputs if _is_inexact(x)], reverse=True)
    names = {call.name for call in line.calls}
    if sizes and names & set(_PRODUCTS):
        return max(scale, sizes[0] * (sizes[1] if len(sizes) > 1 else sizes[0]))
    if sizes and len(line.calls) == 1 and names & set(_SUMS):
        return max(scale, sizes[0])
    return scale


def difference(a: Any, b: Any, scale: float, sides: tuple[str, str]) -> Difference:
    """The difference of two host arrays; infinite if shapes, NaN, infinities or integers differ."""
    xp = namespace(a)
    if a.shape != b.shape:
        return Difference(inf, inf, f"shapes {a.shape} and {b.shape}")
    apart = (a != b) & ~(xp.isnan(a) & xp.isnan(b))
    count = int(xp.count_nonzero(apart))
    if not count:
        return Difference(0.0, 0.0)
    if not (_is_inexact(a) and _is_inexact(b)):
        return Difference(inf, inf, f"{count} of {a.size} differ")
    if note := _without_distance(a, b, sides):
        return Difference(inf, inf, note)
    zero = xp.zeros_like(a)
    absolute = _largest(xp.where(apart, a, zero) - xp.where(apart, b, zero))
    return Difference(absolute, absolute / scale if scale else inf)


def _without_distance(a: Any, b: Any, sides: tuple[str, str]) -> str:
    """Where NaN or infinities make a distance meaningless, in words; "" if nowhere."""
    xp = namespace(a)
    for what, test in (("NaN", xp.isnan), ("infinity", xp.isinf)):
        in_a, in_b = test(a), test(b)
        for here, there, side in ((in_a, in_b, sides[0]), (in_b, in_a, sides[1])):
            if xp.any(here & ~there):
                return f"{what} on {side} only"
    return "infinities of different signs" if xp.any(xp.isinf(a) & (a != b)) else ""


def _is_inexact(x: Any) -> bool:
    return bool(namespace(x).isdtype(x.dtype, ("real floating", "complex floating")))


def _largest(x: Any) -> float:
    """The largest finite absolute value; 0 of nothing."""
    xp = namespace(x)
    if not x.size:
        return 0.0
    if xp.isdtype(x.dtype, "bool"):
        return 1.0
    sizes = xp.abs(xp.astype(x, xp.float64) if xp.isdtype(x.dtype, "integral") else x)
    return float(xp.max(xp.where(xp.isfinite(sizes), sizes, 0.0)))
