"""What each call means to NumPy: which function writes into a given array, which result is only a view.

A plan gives bit for bit what eager execution gives. Functions that IEEE 754 defines exactly give the same
bits in any memory layout, in place too; of the others, such as `exp` or `sum`, NumPy has several loops
whose last bits differ, so they are called with the layouts that eager execution has.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from portnn.tracing import Call, Value

__all__ = ["is_exact", "is_view", "may_alias", "picks", "ufunc_of", "view_of"]

_OPERATORS: dict[Callable[..., Any], np.ufunc] = {
    operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply, operator.truediv: np.divide,
    operator.matmul: np.matmul, operator.eq: np.equal, operator.ne: np.not_equal, operator.lt: np.less,
    operator.le: np.less_equal, operator.gt: np.greater, operator.ge: np.greater_equal,
    operator.and_: np.bitwise_and, operator.or_: np.bitwise_or, operator.xor: np.bitwise_xor,
    operator.neg: np.negative, operator.abs: np.absolute, operator.invert: np.invert,
    operator.pos: np.positive,
}  # fmt: skip

# array-api-compat's functions of these names hand floating-point arrays to NumPy's as they are.
_WRAPPED = {"matmul": np.matmul, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc}

_NUMERIC = frozenset("fbiu")
_EXACT = frozenset({
    "abs", "add", "bitwise_and", "bitwise_invert", "bitwise_or", "bitwise_xor", "ceil", "copysign", "divide",
    "equal", "floor", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative",
    "not_equal", "positive", "signbit", "sqrt", "square", "subtract", "trunc",
})  # fmt: skip

_VIEWS = frozenset({
    "broadcast_to", "expand_dims", "flip", "linalg.diagonal", "linalg.matrix_transpose", "matrix_transpose",
    "moveaxis", "permute_dims", "reshape", "squeeze",
})  # fmt: skip

# Functions besides those of `_VIEWS` whose result may share memory with an argument.
_SHARING = frozenset({
    "asarray", "astype", "broadcast_arrays", "conj", "getitem", "imag", "meshgrid", "real", "to_device",
    "unstack",
})  # fmt: skip


def ufunc_of(call: Call) -> np.ufunc | None:
    """The ufunc that a call comes to, if it comes to one without options and with one result."""
    if call.options or type(call.result) is not Value:
        return None
    function = call.function if isinstance(call.function, np.ufunc) else _unwrapped(call)
    return function if function is not None and function.nin == len(call.args) else None


def _unwrapped(call: Call) -> np.ufunc | None:
    """The ufunc behind an operator, or behind a function of array-api-compat."""
    by_operator = _OPERATORS.get(call.function)
    found = by_operator or _WRAPPED.get(call.name)
    if found is None:
        return None
    kinds = {value.dtype.kind for value in call.inputs()}
    return found if (kinds <= _NUMERIC if by_operator is not None else kinds == {"f"}) else None


def is_exact(call: Call) -> bool:
    """Whether a call gives the same bits whatever the memory layout, and may overwrite its argument."""
    return call.name in _EXACT


def _basic(index: Any) -> bool:
    """Whether an index is made of integers, slices, ``...`` and None only."""
    entries = index if isinstance(index, tuple) else (index,)
    return all(
        e is None or e is Ellipsis or isinstance(e, slice) or (isinstance(e, int) and not isinstance(e, bool))
        for e in entries
    )


@cache
def _reshapes_in_place(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any, new: tuple[int, ...]
) -> bool:
    """Whether NumPy can reshape an array of this layout without a copy."""
    # Nothing is read of an array that only says what its layout would be.
    array = np.lib.stride_tricks.as_strided(np.empty((), dtype), shape, strides, writeable=False)
    try:
        np.reshape(array, new, copy=False)
    except ValueError:
        return False
    return True


def is_view(call: Call) -> bool:
    """Whether the result of a call is a view of its first argument."""
    if call.name == "getitem":
        return type(call.args[0]) is Value and _basic(call.args[1])
    if call.name not in _VIEWS or type(call.result) is not Value or type(call.args[0]) is not Value:
        return False
    x = call.args[0]
    if call.name != "reshape":
        return call.name != "flip" or bool(x.shape)  # without axes NumPy's flip is a copy
    if call.options.get("copy") or x.strides is None:
        return False
    return _reshapes_in_place(x.shape, x.strides, x.dtype, call.result.shape)


def picks(call: Call) -> bool:
    """Whether a call picks an element, which makes it a scalar; with ``...`` it stays an array."""
    if call.name != "getitem" or call.result.shape:
        return False
    return Ellipsis not in (call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],))


def view_of(call: Call, array: Any) -> Any:
    """The view that a call makes of an array, never a copy: a single element too stays a view."""
    if call.name == "getitem":
        index = call.args[1]
        entries = index if isinstance(index, tuple) else (index,)
        return array[entries if Ellipsis in entries else (*entries, Ellipsis)]
    return call.function(array, *call.args[1:], **call.options)


def may_alias(call: Call) -> bool:
    """Whether a result may share memory with an argument, though not surely."""
    return is_view(call) or call.name in _SHARING or call.name in _VIEWS
