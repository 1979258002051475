"""Small arrays and numbers of any library: what the gradient check makes and measures."""

from __future__ import annotations

from math import prod, sqrt
from random import Random

import array_api_compat

from portnn._typing import Array
from portnn.tracing import namespace

__all__ = ["direction", "entry", "norm", "size", "total", "unit", "values_like"]


def values_like(x: Array, values: list[float]) -> Array:
    """Numbers as an array of the shape, dtype, library and device of `x`."""
    xp = namespace(x)
    flat = xp.asarray(values, dtype=x.dtype, device=array_api_compat.device(x))
    return xp.reshape(flat, tuple(x.shape))


def size(x: Array) -> int:
    return prod(x.shape)


def unit(x: Array, i: int) -> Array:
    """One in entry `i`, zero elsewhere."""
    return values_like(x, [float(j == i) for j in range(size(x))])


def entry(x: Array, i: int) -> str:
    """Entry `i` by its indices."""
    indices: list[str] = []
    for n in reversed(x.shape):
        i, k = divmod(i, n)
        indices.insert(0, str(k))
    return f"[{', '.join(indices)}]" if indices else ""


def direction(x: Array, rng: Random) -> Array:
    """A random array of norm one."""
    values = [rng.gauss(0.0, 1.0) for _ in range(size(x))]
    norm = sqrt(sum(v * v for v in values))
    return values_like(x, [v / norm for v in values])


def total(x: Array) -> float:
    return float(namespace(x).sum(x))


def norm(x: Array) -> float:
    return sqrt(total(x * x))
