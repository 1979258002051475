"""Functions without a derivative: comparisons, logic, creation, questions about dtypes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from portnn import ops
from tests.table.engine import CONSTANT_KIND, Row, booleans, fixed, integers, normal

A = fixed([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]])
B = fixed([[1.0, 3.0, 2.0], [-1.0, 0.25, 4.0]])
SPECIAL = fixed([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan])
BITS = (integers(-50, 50, 2, 3), integers(-50, 50, 2, 3))
SHIFTS = (integers(0, 100, 2, 3), integers(0, 5, 2, 3))
MASKS = (booleans(2, 3), booleans(2, 3))
X = normal(2, 3)


def row(name: str, args: tuple[Any, ...], oracle: Callable[..., Any], **more: Any) -> Row:
    """A row of a function of `ops` with no derivative."""
    return Row(
        f"ops.{name}",
        more.pop("function", None) or getattr(ops, name),
        args,
        oracle,
        kind=CONSTANT_KIND,
        **more,
    )


def by_element(f: Callable[..., Any], dtype: type) -> Callable[..., Any]:
    """A function of Python's numbers as a function of arrays."""
    return np.vectorize(lambda *xs: f(*xs), otypes=[dtype])


COMPARISONS = [
    row(name, (A, B), by_element(f, bool), elementwise=True)
    for name, f in {
        "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
        "greater": operator.gt, "greater_equal": operator.ge,
    }.items()
]  # fmt: skip

LOGIC = [
    row("logical_and", MASKS, by_element(lambda a, b: a and b, bool)),
    row("logical_or", MASKS, by_element(lambda a, b: a or b, bool)),
    row("logical_xor", MASKS, by_element(operator.ne, bool)),
    row("logical_not", MASKS[:1], by_element(operator.not_, bool)),
    row("bitwise_and", BITS, by_element(operator.and_, np.int64)),
    row("bitwise_or", BITS, by_element(operator.or_, np.int64)),
    row("bitwise_xor", BITS, by_element(operator.xor, np.int64)),
    row("bitwise_invert", BITS[:1], by_element(operator.invert, np.int64)),
    row("bitwise_left_shift", SHIFTS, by_element(operator.lshift, np.int64)),
    row("bitwise_right_shift", SHIFTS, by_element(operator.rshift, np.int64)),
    row("isnan", (SPECIAL,), lambda x: np.asarray([False] * 6 + [True])),
    row("isinf", (SPECIAL,), lambda x: np.asarray([False] * 4 + [True, True, False])),
    row("isfinite", (SPECIAL,), lambda x: np.asarray([True] * 4 + [False] * 3)),
    row("signbit", (fixed([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf]),),
        lambda x: np.asarray([False, True, False, True, False, True])),
]  # fmt: skip


def creator(name: str, call: Callable[[Any], Any], expected: Any, case: str = "") -> Row:
    """A row of a function that makes an array like the argument."""
    return row(name, (X,), lambda x: np.asarray(expected, dtype=np.float64), function=call, case=case)


CREATION = [
    creator("zeros", lambda x: ops.zeros((2, 2), dtype=x.dtype, like=x), np.zeros((2, 2))),
    creator("ones", lambda x: ops.ones(3, dtype=x.dtype, like=x), [1.0, 1.0, 1.0]),
    creator("empty", lambda x: ops.multiply(ops.ones_like(ops.empty((2, 1), dtype=x.dtype, like=x)), 1.0), [[1.0], [1.0]]),
    creator("full", lambda x: ops.full((2, 1), 7.5, dtype=x.dtype, like=x), [[7.5], [7.5]]),
    creator("arange", lambda x: ops.arange(1, 4, dtype=x.dtype, like=x), [1.0, 2.0, 3.0]),
    creator("arange", lambda x: ops.arange(3, dtype=x.dtype, like=x), [0.0, 1.0, 2.0], case="bound alone"),
    creator("linspace", lambda x: ops.linspace(0.0, 1.0, 5, dtype=x.dtype, like=x), [0.0, 0.25, 0.5, 0.75, 1.0]),
    creator("eye", lambda x: ops.eye(2, 3, k=1, dtype=x.dtype, like=x), [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    creator("asarray", lambda x: ops.asarray([1.0, 2.0], dtype=x.dtype, like=x), [1.0, 2.0]),
    creator("zeros_like", ops.zeros_like, np.zeros((2, 3))),
    creator("ones_like", ops.ones_like, np.ones((2, 3))),
    creator("empty_like", lambda x: ops.zeros_like(ops.empty_like(x)), np.zeros((2, 3))),
    creator("full_like", lambda x: ops.full_like(x, -2.5), np.full((2, 3), -2.5)),
    row("zeros", (X,), lambda x: np.zeros(2, np.int64), function=lambda x: ops.zeros(2, dtype="int64", like=x),
        case="dtype by name"),
    row("from_dlpack", (integers(0, 9, 3),), lambda n: n,
        function=lambda n: ops.from_dlpack(n, like=n, device=array_api_compat.device(n))),
]  # fmt: skip


def _kinds(x: Any) -> tuple[bool, ...]:
    return tuple(ops.isdtype(x.dtype, k) for k in ("real floating", "integral", "bool", ("numeric", "bool")))


DTYPES = [
    row("isdtype", (X,), lambda x: (True, False, False, True), function=_kinds),
    row("isdtype", (booleans(2),), lambda x: (False, False, True, True), function=_kinds, case="booleans"),
    row("can_cast", (X,), lambda x: (True, False),
        function=lambda x: (ops.can_cast(x.dtype, x.dtype), ops.can_cast(x.dtype, ops.greater(x, x).dtype))),
    row("finfo", (X,), lambda x: True,
        function=lambda x: float(ops.finfo(x.dtype).eps) == {32: 2.0**-23, 64: 2.0**-52}[ops.finfo(x).bits]),
    row("iinfo", (integers(0, 9, 3),), lambda n: True,
        function=lambda n: int(ops.iinfo(n.dtype).max) == 2 ** (ops.iinfo(n.dtype).bits - 1) - 1),
    row("result_type", (X,), lambda x: True, function=lambda x: ops.result_type(x, 2.0) == x.dtype),
]  # fmt: skip

ROWS = [*COMPARISONS, *LOGIC, *CREATION, *DTYPES]
