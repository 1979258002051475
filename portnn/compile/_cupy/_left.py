"""What is no kernel: views, products, and calls left to CuPy, with what a CUDA graph can hold of them."""

from __future__ import annotations

import operator
from math import prod
from typing import Any

from portnn.compile._cupy._kernels import element_strides
from portnn.tracing import Call, Value

__all__ = ["captured_as_it_is", "is_product", "is_view"]

_VIEWS = frozenset(
    ["broadcast_to", "expand_dims", "matrix_transpose", "moveaxis", "permute_dims", "squeeze", "swapaxes"]
)
# Read in CuPy's source: these only start kernels (or copies on the device) on the current stream. Any other
# function might wait for the device or copy a list of addresses from host memory that is reused afterwards.
_SAFE = frozenset(
    ["abs", "add", "all", "any", "argmax", "argmin", "astype", "bitwise_left_shift", "bitwise_right_shift",
     "conj", "copysign", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "divide", "equal",
     "exp", "exp2", "fft.fftshift", "fft.ifftshift", "flip", "floor_divide", "full_like", "greater",
     "greater_equal", "hypot", "imag", "isfinite", "isinf", "isnan", "less", "less_equal", "linalg.cross",
     "linalg.diagonal", "linalg.outer", "linalg.vector_norm", "logaddexp", "logical_and", "logical_not",
     "logical_or", "max", "maximum", "mean", "min", "minimum", "multiply", "negative", "nextafter",
     "not_equal", "ones_like", "positive", "pow", "prod", "real", "reciprocal", "remainder", "reshape",
     "roll", "round", "searchsorted", "signbit", "sqrt", "square", "std", "subtract", "sum", "take", "tile",
     "tril", "triu", "var", "where", "zeros_like"]
)  # fmt: skip
_MOST_JOINED = 8  # beyond it CuPy sends the parts' addresses from the host


def is_view(call: Call) -> bool:
    """Whether a call only gives its first argument's memory another shape."""
    if not call.args or type(call.args[0]) is not Value or len(call.inputs()) != 1:
        return False
    if call.name == "getitem":
        return _is_basic(call.args[1])
    if call.name == "reshape":
        return call.options.get("copy") is not True and _touching(call.args[0])
    return call.name in _VIEWS


def _is_basic(index: Any) -> bool:
    parts = index if type(index) is tuple else (index,)
    return all(i is None or i is Ellipsis or type(i) in (int, slice) for i in parts)


def _is_by_integers(index: Any) -> bool:
    """Return whether all arrays of an index hold integers: then CuPy only launches kernels."""
    parts = index if type(index) is tuple else (index,)
    return all("int" in str(i.dtype) if type(i) is Value else _is_basic(i) for i in parts)


def _touching(value: Value) -> bool:
    """Whether a value lies row by row without gaps."""
    steps = element_strides(value)
    return all(
        n == 1 or step == prod(value.shape[d + 1 :])
        for d, (n, step) in enumerate(zip(value.shape, steps, strict=True))
    )


def is_product(call: Call) -> bool:
    """Whether a call is a matrix product of two arrays and nothing else."""
    if call.name not in ("matmul", "linalg.matmul") or len(call.args) != 2 or call.options:
        return False
    return all(type(x) is Value for x in call.args)


def captured_as_it_is(call: Call) -> str | None:
    """Why a CUDA graph cannot hold a call of CuPy's; None if it can."""
    if call.name in ("concat", "stack"):
        many = len(call.inputs()) > _MOST_JOINED
        return f"CuPy sends the addresses of more than {_MOST_JOINED} parts from the host" if many else None
    if call.name == "getitem":
        return None if _is_by_integers(call.args[1]) else "CuPy counts the elements that a mask selects"
    if call.name == "repeat":
        repeats = call.args[1] if len(call.args) > 1 else call.options.get("repeats")
        return None if type(repeats) is int else "CuPy waits for an array of repetition counts"
    name = call.name.removeprefix("linalg.")
    if name in ("tensordot", "vecdot") and call.result.size <= 1:
        return None  # CuPy sums the products itself
    if name in ("matmul", "tensordot", "vecdot"):
        return "CuPy refuses cuBLAS while a graph is captured"
    if call.function is operator.getitem or call.name not in _SAFE:
        return "not known to only start kernels; it might wait for the device"
    return None
