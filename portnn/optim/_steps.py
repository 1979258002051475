"""The numbers of a step: its counter, and coefficients worked out once per step and not per leaf."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any, TypeVar

from portnn import ops, tree
from portnn._typing import Array, DType, Tree

__all__ = [
    "count", "like", "one_minus_power", "per_dtype", "real_step", "start_count", "start_product", "tame",
    "zeros",
]  # fmt: skip

T = TypeVar("T")


def zeros(params: Tree) -> Tree:
    """A tree of zeros like the parameters."""
    return tree.map(ops.zeros_like, params)


def start_count(params: Tree) -> Array | None:
    """Zero as a 0-d int32 array beside the parameters; None if there are none."""
    leaves = tree.leaves(params)
    return ops.zeros((), dtype="int32", like=leaves[0]) if leaves else None


def start_product(params: Tree) -> Array | None:
    """One as a 0-d array of the widest dtype of the parameters (float32 at least); None if there are none."""
    leaves = tree.leaves(params)
    return ops.ones((), dtype=_wide(ops.result_type(*leaves)), like=leaves[0]) if leaves else None


def count(step: Array | None) -> Array | None:
    """The number of the next step, again as a 0-d array (NumPy's operators return scalars)."""
    return None if step is None else ops.broadcast_to(step + 1, ())


def per_dtype(compute: Callable[[DType], T]) -> Callable[[Array], T]:
    """Coefficients for a leaf, by `compute` of its dtype: nearly always once for the whole tree."""
    known: dict[Any, T] = {}

    def of(x: Array) -> T:
        dtype = x.dtype
        found = known.get(dtype)
        if found is None:
            found = known[dtype] = compute(dtype)
        return found

    return of


@cache
def _range(library: str, dtype: DType) -> tuple[int, float]:
    """Bits and largest number of a dtype; `library` keeps apart dtypes of two libraries with one hash."""
    info = ops.finfo(dtype)
    return int(info.bits), float(info.max)


def _wide(dtype: DType) -> DType:
    """`dtype`, or float32 for the half precisions, in which steps could not be told apart."""
    return "float32" if _range(type(dtype).__module__, dtype)[0] < 32 else dtype


def real_step(step: Array | None, dtype: DType) -> Array:
    """A counter as a floating-point array for coefficients of leaves of `dtype`."""
    return ops.astype(step, _wide(dtype))


def like(x: Array, dtype: DType) -> Array:
    """A coefficient in the dtype of the leaves it multiplies; Python numbers adopt it by themselves."""
    return x if type(x) in (int, float) or x.dtype == dtype else ops.astype(x, dtype)


def one_minus_power(beta: float, t: Array) -> Array:
    """``1 - beta**t`` without cancellation: ``-expm1(t log beta)``.

    In float32, ``1 - 0.999**1`` by subtraction is wrong from the fifth digit on.
    """
    return ops.negative(ops.expm1(t * math.log(beta))) if beta > 0.0 else t * 0.0 + 1.0


def tame(g: Array) -> Array:
    """`g`, scaled down as a whole if the squares of its largest elements would overflow.

    Methods that divide by the root of the mean square do not see the scale of a gradient, so they go on
    as in exact arithmetic where ``g**2`` would be infinite and every later update zero. The bound is the
    largest number to the power 3/8 (2.8e14 in float32, 3.9e115 in float64): 2**31 of its squares can be
    summed. Below it the factor is exactly one; an infinity becomes NaN and shows.
    """
    if not prod(g.shape):
        return g
    dtype = g.dtype
    bound = _range(type(dtype).__module__, dtype)[1] ** 0.375
    return ops.multiply(g, ops.divide(bound, ops.maximum(ops.max(ops.abs(g)), bound)))
