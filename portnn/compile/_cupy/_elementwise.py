"""Elementwise functions of the standard as expressions in C, with the bits that CuPy's own kernels give.

An expression does what CuPy's kernel for that function and dtype does (`cupy/_core/_routines_math.pyx`,
`cupy/_math`). Sums and products are written with the ``_rn`` intrinsics, which the compiler never contracts
into a fused multiply-add: a product that CuPy rounds and stores is rounded here too. The compiler's own
switch ``--fmad=false`` would do that as well, but it also changes what happens *inside* log, log1p, log2,
log10, acos, asinh, acosh and atanh of float64, and so their last bit. Functions that CuPy itself writes as a
product and a sum (remainder, floor_divide, logaddexp), or that depend on how they are called (pow), are left
to CuPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from portnn.tracing import Call, Value

__all__ = ["CHEAP", "C_TYPES", "NAMES", "Member", "castable", "lower"]

C_TYPES = {
    "bool": "bool", "int8": "signed char", "uint8": "unsigned char", "int16": "short",
    "uint16": "unsigned short", "int32": "int", "uint32": "unsigned int", "int64": "long long",
    "uint64": "unsigned long long", "float16": "half_bits", "float32": "float", "float64": "double",
}  # fmt: skip
"""The type in memory for each dtype that kernels know."""

_FLOATS = ("float16", "float32", "float64")
_INTEGERS = tuple([name for name in C_TYPES if "int" in name])

# {f} is f in single precision and nothing in double, {r} the letter of the intrinsics.
_FLOATING = {
    "add": "__{r}add_rn({0}, {1})", "subtract": "__{r}sub_rn({0}, {1})", "multiply": "__{r}mul_rn({0}, {1})",
    "divide": "({0} / {1})", "square": "__{r}mul_rn({0}, {0})", "negative": "(-{0})", "positive": "({0})",
    "abs": "fabs{f}({0})", "sqrt": "sqrt{f}({0})", "exp": "exp{f}({0})", "expm1": "expm1{f}({0})",
    "log": "log{f}({0})", "log1p": "log1p{f}({0})", "log2": "log2{f}({0})", "log10": "log10{f}({0})",
    "sin": "sin{f}({0})", "cos": "cos{f}({0})", "tan": "tan{f}({0})", "asin": "asin{f}({0})",
    "acos": "acos{f}({0})", "atan": "atan{f}({0})", "sinh": "sinh{f}({0})", "cosh": "cosh{f}({0})",
    "tanh": "tanh{f}({0})", "asinh": "asinh{f}({0})", "acosh": "acosh{f}({0})", "atanh": "atanh{f}({0})",
    "floor": "floor{f}({0})", "ceil": "ceil{f}({0})", "trunc": "trunc{f}({0})",
    "atan2": "atan2{f}({0}, {1})", "hypot": "hypot{f}({0}, {1})", "copysign": "copysign{f}({0}, {1})",
    "maximum": "((isnan({0}) | isnan({1})) ? not_a_number{f}() : fmax{f}({0}, {1}))",
    "minimum": "((isnan({0}) | isnan({1})) ? not_a_number{f}() : fmin{f}({0}, {1}))",
    "sign": "(({0} < 0 || {0} > 0) ? copysign{f}(1.0{f}, {0}) : __{r}sub_rn({0}, {0}))",
}  # fmt: skip
_WHOLE = {
    "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})", "square": "({0} * {0})",
    "negative": "(-{0})", "positive": "({0})", "abs": "({0} > 0 ? {0} : -{0})",
    "maximum": "({0} > {1} ? {0} : {1})", "minimum": "({0} < {1} ? {0} : {1})",
    "bitwise_and": "({0} & {1})", "bitwise_or": "({0} | {1})", "bitwise_xor": "({0} ^ {1})",
    "bitwise_invert": "(~{0})", "bitwise_left_shift": "({0} << {1})", "bitwise_right_shift": "({0} >> {1})",
}  # fmt: skip
_TRUTH = {
    "logical_and": "({0} && {1})", "logical_or": "({0} || {1})", "logical_xor": "({0} != {1})",
    "logical_not": "(!{0})", "bitwise_and": "({0} && {1})", "bitwise_or": "({0} || {1})",
    "bitwise_xor": "({0} != {1})", "bitwise_invert": "(!{0})",
}  # fmt: skip
_COMPARISONS = {
    "equal": "({0} == {1})", "not_equal": "({0} != {1})", "less": "({0} < {1})",
    "less_equal": "({0} <= {1})", "greater": "({0} > {1})", "greater_equal": "({0} >= {1})",
}  # fmt: skip
_TESTS = {"isnan": "isnan({0})", "isinf": "isinf({0})", "isfinite": "isfinite({0})"}

CHEAP = frozenset(
    ["add", "subtract", "multiply", "divide", "square", "negative", "positive", "abs", "maximum", "minimum",
     "where", "astype", "clip", *_TRUTH, *_COMPARISONS, *_TESTS]
)  # fmt: skip
"""Functions that cost so little that computing one again costs less than keeping its result."""


NAMES = frozenset([*_FLOATING, *_WHOLE, *_TRUTH, *_COMPARISONS, *_TESTS, "astype", "clip", "where"])
"""The functions that `lower` knows, for some dtypes at least."""


@final
@dataclass(frozen=True)
class Member:
    """A call as a part of a kernel.

    Attributes:
        call: the call.
        template: the expression, with ``{0}``, ``{1}``... for the operands.
        operands: a `Value`, or a Python number, for each of them.
        compute: for each operand the dtype to which it is cast first.
        dtype: the dtype of the result.
    """

    call: Call
    template: str
    operands: tuple[Any, ...]
    compute: tuple[str, ...]
    dtype: str


def lower(call: Call) -> Member | None:
    """The call as a part of a kernel, or None if it is not elementwise or must be left to CuPy."""
    result = call.result
    if type(result) is not Value or _name(result) not in C_TYPES:
        return None
    if call.name == "astype":
        return _cast(call)
    if call.name == "clip":
        return _clip(call)
    if any(v is not None for v in call.options.values()):
        return None
    operands = call.args
    if not any(type(x) is Value for x in operands) or not all(map(_is_operand, operands)):
        return None
    if call.name == "where" and len(operands) == 3:
        return _where(call)
    return _formula(call, tuple(operands))


def _name(value: Value) -> str:
    return str(value.dtype)


def _is_operand(x: Any) -> bool:
    if type(x) is Value:
        return _name(x) in C_TYPES
    return type(x) in (bool, int, float)


def _formula(call: Call, operands: tuple[Any, ...]) -> Member | None:
    """Arithmetic, comparisons and tests."""
    result = _name(call.result)
    found = _common(operands)
    if found is None:
        return None
    compared, name = found, call.name
    if name in _COMPARISONS:
        return _member(call, _COMPARISONS[name], operands, compared, "bool")
    if name in _TESTS and compared in _FLOATS:
        return _member(call, _TESTS[name], operands, compared, "bool")
    if result == "bool":
        table = _TRUTH if compared == "bool" else {}
    else:
        table = _FLOATING if result in _FLOATS else _WHOLE
        if result in _INTEGERS and compared != result:
            return None
    template = table.get(name)
    if template is None or not all(castable(x, result) for x in operands):
        return None
    letters = {"f": "", "r": "d"} if result == "float64" else {"f": "f", "r": "f"}
    filled = template.replace("{f}", letters["f"]).replace("{r}", letters["r"])
    return _member(call, filled, operands, result, result)


def _member(call: Call, template: str, operands: tuple[Any, ...], compute: str, dtype: str) -> Member | None:
    if (template.count("{1}") and len(operands) != 2) or (not template.count("{1}") and len(operands) != 1):
        return None
    if not all(castable(x, compute) for x in operands):
        return None
    return Member(call, template, operands, (compute,) * len(operands), dtype)


def _where(call: Call) -> Member | None:
    condition, result = call.args[0], _name(call.result)
    if type(condition) is not Value or _name(condition) != "bool":
        return None
    if not all(castable(x, result) for x in call.args[1:]):
        return None
    return Member(call, "({0} ? {1} : {2})", tuple(call.args), ("bool", result, result), result)


def _clip(call: Call) -> Member | None:
    """Clip by numbers or arrays. In array-api-compat's own version the host counts masked elements."""
    bounds = dict(zip(("min", "max"), call.args[1:], strict=False)) | call.options
    x, dtype = call.args[0], _name(call.result)
    limits = [b for b in bounds.values() if b is not None]
    kinds = (int, float, Value) if dtype in _FLOATS else (int, Value)
    if not set(bounds) <= {"min", "max"} or type(x) is not Value:
        return None
    if _name(x) != dtype or dtype == "bool":
        return None
    if any(type(b) not in kinds or b != b or not castable(b, dtype) for b in limits):
        return None
    if any(type(b) is Value and _name(b) not in C_TYPES for b in limits):
        return None
    template = "{0}"
    for n, (bound, sign) in enumerate([(bounds.get("min"), "<"), (bounds.get("max"), ">")]):
        if bound is not None:
            place = "{1}" if n == 0 or len(limits) == 1 else "{2}"
            unknown = f" || {place} != {place}" if type(bound) is Value else ""  # a bound of NaN gives NaN
            template = f"({template} {sign} {place}{unknown} ? {place} : {template})"
    return Member(call, f"({template})", (x, *limits), (dtype,) * (1 + len(limits)), dtype)


def _cast(call: Call) -> Member | None:
    """A cast that keeps the device."""
    if not call.args or type(call.args[0]) is not Value or call.options.get("device") is not None:
        return None
    x, dtype = call.args[0], _name(call.result)
    if _name(x) not in C_TYPES or not castable(x, dtype):
        return None
    return Member(call, "({0})", (x,), (dtype,), dtype)


def _common(operands: tuple[Any, ...]) -> str | None:
    """The dtype in which NumPy and CuPy combine the operands; None where they have rules of their own."""
    dtypes = [np.dtype(_name(x)) for x in operands if type(x) is Value]
    common = np.result_type(*dtypes)
    if {"uint64"} < {str(d) for d in dtypes} and common.kind == "f":
        return None  # signed with unsigned: CuPy compares by cases
    order = {"b": 0, "i": 1, "u": 1, "f": 2}
    for x in operands:
        if type(x) is not Value and order[common.kind] < {bool: 0, int: 1, float: 2}[type(x)]:
            return None  # a number of a higher kind than the arrays, which the standard leaves open
    name = str(common)
    return name if name in C_TYPES else None


def castable(x: Any, dtype: str) -> bool:
    """Whether a C cast gives what CuPy's cast gives."""
    if type(x) is Value:
        wide = ("int32", "uint32", "int64", "uint64", "float64")  # would be rounded twice on the way to half
        return not (dtype == "float16" and _name(x) in wide)
    if dtype in _INTEGERS:
        info = np.iinfo(dtype)
        return type(x) is not float and int(info.min) <= x <= int(info.max)
    if dtype == "bool":
        return type(x) is bool
    if not math.isfinite(x):
        return True
    try:
        return abs(float(x)) <= float(np.finfo(dtype).max)
    except OverflowError:
        return False
