"""The operators of recorded arrays, attached when this is imported."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from portnn.tracing._array import TracedArray
from portnn.tracing._namespace import as_operand, namespace
from portnn.tracing._recorded import RecordedArray, record_call

__all__: list[str] = []

_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift",
           "rshift", "eq", "ne", "lt", "le", "gt", "ge")  # fmt: skip
_NAMES = {"sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
          "mod": "remainder", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
          "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift", "eq": "equal", "ne": "not_equal",
          "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "neg": "negative",
          "pos": "positive", "invert": "bitwise_invert"}  # fmt: skip


def _operator(name: str, *, reflected: bool = False) -> Callable[..., Any]:
    function = getattr(operator, f"{name}_" if name in ("and", "or") else name)
    standard = _NAMES.get(name, name)

    def method(self: RecordedArray, other: Any) -> Any:
        if type(other) is TracedArray:  # which lies above: it knows what to do with arrays below it
            return NotImplemented
        operand = as_operand(other, self)
        if operand is NotImplemented:
            return operand
        args = (operand, self) if reflected else (self, operand)
        return record_call(namespace(*args), standard, function, args, {})

    return method


def _in_place(name: str) -> Callable[..., Any]:
    """``x += y`` binds the name to a new array of the same shape and dtype, as it does for traced arrays."""
    forward = _operator(name)

    def method(self: RecordedArray, other: Any) -> Any:
        y = forward(self, other)
        if y is not NotImplemented and (y.shape, y.dtype) != (self.shape, self.dtype):
            raise TypeError(
                f"an assignment such as x += y must keep shape {tuple(self.shape)} and dtype {self.dtype}, "
                f"but gives {tuple(y.shape)} and {y.dtype}; write x = x + y"
            )
        return y

    return method


def _unary(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self: record_call(self.__array_namespace__(), _NAMES.get(name, name), function, (self,), {})


def _attach() -> None:
    for name in _BINARY:
        setattr(RecordedArray, f"__{name}__", _operator(name))
        if name not in ("eq", "ne", "lt", "le", "gt", "ge"):
            setattr(RecordedArray, f"__r{name}__", _operator(name, reflected=True))
            setattr(RecordedArray, f"__i{name}__", _in_place(name))
    divmods = {
        "__divmod__": lambda self, other: (self // other, self % other),
        "__rdivmod__": lambda self, other: (other // self, other % self),
    }
    for name, method in divmods.items():
        setattr(RecordedArray, name, method)
    for name in ("neg", "pos", "abs", "invert"):
        setattr(RecordedArray, f"__{name}__", _unary(name))


_attach()
