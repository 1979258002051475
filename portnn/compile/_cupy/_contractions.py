"""Contractions as matrix products of views, as CuPy computes them.

CuPy refuses cuBLAS while a graph is captured, so these calls cannot be left to it; a plan's own matrix
products can be captured.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from portnn._typing import Array
from portnn.tracing import Call, Value

__all__ = ["contractions_expanded"]

Ints: TypeAlias = tuple[int, ...]


def contractions_expanded(calls: Sequence[Call]) -> list[Call]:
    """Return the calls with `vecdot` and `tensordot` replaced by views and matrix products.

    Contractions to a single number stay: CuPy computes them without cuBLAS.
    """
    made: list[Call] = []
    for call in calls:
        name = call.name.removeprefix("linalg.")
        if name not in ("vecdot", "tensordot") or not _is_expandable(call):
            made.append(call)
        else:
            (_expand_vecdot if name == "vecdot" else _expand_tensordot)(call, made)
    return made


def _is_expandable(call: Call) -> bool:
    given = len(call.args) >= 2 and all(type(x) is Value and x.shape for x in call.args[:2])
    return given and "complex" not in str(call.result.dtype) and call.result.size > 1


def _expand_vecdot(call: Call, made: list[Call]) -> None:
    """Compute ``a[..., None, :] @ b[..., None]``, as array-api-compat does for CuPy."""
    axis = call.args[2] if len(call.args) > 2 else call.options.get("axis", -1)
    a, b = [_permuted(x, _to_end(axis, len(x.shape)), made) for x in call.args[:2]]
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = [_viewed("broadcast_to", _broadcast, (x, shape), made) for x in (a, b)]
    row = _viewed("getitem", operator.getitem, (a, (..., None, slice(None))), made)
    column = _viewed("getitem", operator.getitem, (b, (..., None)), made)
    product = Value(np.empty((*shape[:-1], 1, 1), str(call.result.dtype)))
    made.append(Call("matmul", operator.matmul, (row, column), {}, product))
    made.append(Call("getitem", operator.getitem, (product, (..., 0, 0)), {}, call.result))


def _expand_tensordot(call: Call, made: list[Call]) -> None:
    """Compute a product of two matrices whose inner axis holds all contracted axes."""
    a, b = call.args[:2]
    axes = call.args[2] if len(call.args) > 2 else call.options.get("axes", 2)
    if isinstance(axes, int):
        axes = (range(len(a.shape) - axes, len(a.shape)), range(axes))
    pairs = [[part] if isinstance(part, int) else part for part in axes]  # NumPy and CuPy take a single one
    one, other = [[n % len(x.shape) for n in part] for part, x in zip(pairs, (a, b), strict=True)]
    inner = prod([a.shape[n] for n in one])
    left = _matrix(a, one, inner, made)
    first = _viewed("matrix_transpose", _turned, (left,), made)
    second = _matrix(b, other, inner, made)
    product = Value(np.empty((first.shape[0], second.shape[1]), str(call.result.dtype)))
    made.append(Call("matmul", operator.matmul, (first, second), {}, product))
    made.append(Call("reshape", _reshaped, (product, call.result.shape), {}, call.result))


def _matrix(x: Value, summed: list[int], inner: int, made: list[Call]) -> Value:
    """Return a matrix with the contracted axes as rows and all others as columns."""
    kept = [n for n in range(len(x.shape)) if n not in summed]
    turned = _permuted(x, (*summed, *kept), made)
    shape = (inner, prod([x.shape[n] for n in kept]))
    try:
        result = Value(np.reshape(_like(turned), shape, copy=False))
    except ValueError:  # a view is impossible, and CuPy copies
        result = Value(np.empty(shape, str(x.dtype)))
    made.append(Call("reshape", _reshaped, (turned, shape), {}, result))
    return result


def _to_end(axis: int, count: int) -> Ints:
    axis %= count
    return (*[n for n in range(count) if n != axis], axis)


def _permuted(x: Value, order: Ints, made: list[Call]) -> Value:
    return x if order == tuple(range(len(order))) else _viewed("permute_dims", _moved, (x, order), made)


def _viewed(name: str, function: Any, args: tuple[Any, ...], made: list[Call]) -> Value:
    """Record a function that returns a view, and return its value; NumPy computes the strides."""
    result = Value(function(_like(args[0]), *args[1:]))
    made.append(Call(name, function, args, {}, result))
    return result


def _like(x: Value) -> Any:
    """Return a NumPy array with the layout of a value, to make views of but not to read."""
    one = np.empty(1, str(x.dtype))
    steps = np.empty(x.shape, str(x.dtype)).strides if x.strides is None else x.strides
    return np.lib.stride_tricks.as_strided(one, x.shape, steps, writeable=False)


def _moved(x: Array, order: Ints) -> Array:
    return x.transpose(order)


def _turned(x: Array) -> Array:
    return x.T


def _reshaped(x: Array, shape: Ints) -> Array:
    return x.reshape(shape)


def _broadcast(x: Array, shape: Ints) -> Array:
    return array_namespace(x).broadcast_to(x, shape)
