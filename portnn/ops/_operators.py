"""The operators of traced arrays: each is a function of this package, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portnn._typing import Array
from portnn.ops._arithmetic import (
    add,
    divide,
    floor_divide,
    multiply,
    negative,
    positive,
    remainder,
    subtract,
)
from portnn.ops._comparison import equal, greater, greater_equal, less, less_equal, not_equal
from portnn.ops._helpers import plain_namespace
from portnn.ops._indexing import getitem
from portnn.ops._linear_algebra import matmul, matrix_transpose
from portnn.ops._logical import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
)  # fmt: skip
from portnn.ops._manipulation import permute_dims
from portnn.ops._power import pow
from portnn.ops._rounding import abs
from portnn.ops._ufuncs import divide_whole
from portnn.tracing import CONSTANT, TracedArray, as_operand, strip

__all__: list[str] = []

# By the name of the method, the sign for messages and the function.
_BINARY: dict[str, tuple[str, Callable[..., Array]]] = {
    "add": ("+", add), "sub": ("-", subtract), "mul": ("*", multiply), "truediv": ("/", divide),
    "floordiv": ("//", floor_divide), "mod": ("%", remainder), "pow": ("**", pow), "matmul": ("@", matmul),
    "and": ("&", bitwise_and), "or": ("|", bitwise_or), "xor": ("^", bitwise_xor),
    "lshift": ("<<", bitwise_left_shift), "rshift": (">>", bitwise_right_shift),
}  # fmt: skip
_COMPARISONS = {
    "eq": equal,
    "ne": not_equal,
    "lt": less,
    "le": less_equal,
    "gt": greater,
    "ge": greater_equal,
}
_UNARY = {"neg": negative, "pos": positive, "abs": abs, "invert": bitwise_invert}


def _operator(f: Callable[..., Array], *, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def operator(self: TracedArray, other: Any) -> Any:
        operand = as_operand(other, self)
        if operand is NotImplemented:
            return operand
        return f(operand, self) if reflected else f(self, operand)

    return operator


def _in_place(sign: str, f: Callable[..., Array]) -> Callable[[Any, Any], Any]:
    """``x += y`` binds the name to a new array, of the same shape and dtype as the standard demands."""
    forward = _operator(f)

    def operator(self: TracedArray, other: Any) -> Any:
        y = forward(self, other)
        if y is NotImplemented:
            return y
        if y.shape != self.shape or y.dtype != self.dtype:
            raise TypeError(
                f"x {sign}= y must keep shape {tuple(self.shape)} and dtype {self.dtype}, "
                f"but gives {tuple(y.shape)} and {y.dtype}; write x = x {sign} y"
            )
        return y

    return operator


def _transpose(x: TracedArray) -> Array:
    """`T`, for matrices only, as the standard has it."""
    if x.ndim != 2:
        raise ValueError(
            f"x.T is for two axes, got {x.ndim}; use x.mT for stacks of matrices or permute_dims"
        )
    return permute_dims(x, (1, 0))


def _transpose_matrices(x: TracedArray) -> Array:
    """`mT`, for stacks of matrices."""
    return matrix_transpose(x)


def _setitem(x: TracedArray, index: Any, value: Any) -> None:
    """Assign to part of a constant; the array it was made from stays as it is."""
    if any(type(a) is TracedArray and a.trace is not CONSTANT for a in (x, value)):
        raise TypeError(
            "x[...] = y: arrays that carry derivatives are not changed in place, nor written into others; "
            "build the new array with ops.where, ops.stack or ops.concat"
        )
    xp = plain_namespace(x)
    entries = tuple(strip(e) for e in index) if isinstance(index, tuple) else strip(index)
    changed = xp.asarray(x.value, copy=True)
    changed[entries] = strip(value)
    x.value = changed


def _attach() -> None:
    for name, (sign, f) in _BINARY.items():
        setattr(TracedArray, f"__{name}__", _operator(f))
        setattr(TracedArray, f"__r{name}__", _operator(f, reflected=True))
        setattr(TracedArray, f"__i{name}__", _in_place(sign, f))
    for name, f in _COMPARISONS.items():
        setattr(TracedArray, f"__{name}__", _operator(f))
    for name, function in _UNARY.items():
        setattr(TracedArray, f"__{name}__", lambda self, f=function: f(self))
    members: dict[str, Callable[..., Any]] = {
        "__getitem__": getitem,
        "__setitem__": _setitem,
        "__divmod__": _operator(divide_whole),
        "__rdivmod__": _operator(divide_whole, reflected=True),
    }
    for name, method in members.items():
        setattr(TracedArray, name, lambda self, *args, method=method: method(self, *args))
    for name, transpose in {"T": _transpose, "mT": _transpose_matrices}.items():
        setattr(TracedArray, name, property(transpose))


_attach()
