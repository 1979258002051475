"""How a call becomes steps of a plan that put its result into a given array."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from portnn.compile._numpy._kinds import ufunc_of
from portnn.compile._numpy._selection import select_writer
from portnn.compile._numpy._steps import Steps, Writer
from portnn.compile._numpy._unfolded import NAME as UNFOLDED
from portnn.tracing import Call, Value

__all__ = ["writer_of"]

_REDUCTIONS: dict[str, tuple[Callable[..., Any], np.ufunc]] = {
    "sum": (np.sum, np.add), "prod": (np.prod, np.multiply), "max": (np.max, np.maximum),
    "min": (np.min, np.minimum), "any": (np.any, np.logical_or), "all": (np.all, np.logical_and),
}  # fmt: skip
_POSITIONS: dict[str, Callable[..., Any]] = {"argmax": np.argmax, "argmin": np.argmin}
_JOINS: dict[str, Callable[..., Any]] = {"concat": np.concatenate, "stack": np.stack}


def writer_of(call: Call) -> Writer | None:
    """What writes a call into a given array; None for a call that can only be made as it stands."""
    if type(call.result) is not Value:
        return None
    if ufunc_of(call) is not None:
        return _write_ufunc
    find = _FINDERS.get(call.name)
    return None if find is None else find(call)


def _only(call: Call, *names: str) -> bool:
    """Whether a call has one positional argument, an array, and no options but these."""
    return len(call.args) == 1 and type(call.args[0]) is Value and not set(call.options) - set(names)


def _keepdims(call: Call) -> bool:
    return bool(call.options.get("keepdims"))


# NumPy takes the result of these two by its name only.
def _maximum(x: Any, y: Any, out: Any) -> None:
    np.maximum(x, y, out=out)


def _minimum(x: Any, y: Any, out: Any) -> None:
    np.minimum(x, y, out=out)


_BY_NAME = {"maximum": _maximum, "minimum": _minimum}


def _write_ufunc(steps: Steps, call: Call, out: Any) -> None:
    function: Any = steps.forms.get(call.result) or _BY_NAME.get(call.name) or ufunc_of(call)
    operands = [steps.operand(x) if type(x) is Value else steps.number(x, call) for x in call.args]
    steps.add(function, *operands, out)


def _reduction(call: Call) -> Writer | None:
    function, ufunc = _REDUCTIONS[call.name]
    x = call.args[0]
    if call.function is not function or not _only(call, "axis", "dtype", "keepdims"):
        return None
    if call.name in ("any", "all") and x.dtype.kind != "b":
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        dtype = call.result.dtype if call.name in ("sum", "prod") else None
        steps.add(ufunc.reduce, steps.operand(x), call.options.get("axis"), dtype, out, _keepdims(call))

    return write


def _mean(call: Call) -> Writer | None:
    x = call.args[0]
    if call.function is not np.mean or not _only(call, "axis", "keepdims") or x.dtype.kind != "f":
        return None
    if x.dtype.itemsize < 4 or (not call.result.shape and not x.shape):
        return None
    n = np.intp(prod(x.shape) // max(1, prod(call.result.shape)))
    if not n:
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        steps.add(np.add.reduce, steps.operand(x), call.options.get("axis"), None, out, _keepdims(call))
        # As NumPy's own mean: the count is an integer, so the quotient is worked out in float64.
        steps.add(np.divide, out, n, out, options={"casting": "unsafe"})

    return write


def _position(call: Call) -> Writer | None:
    function = _POSITIONS[call.name]
    if call.function is not function or not _only(call, "axis", "keepdims"):
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        axis, options = call.options.get("axis"), {"keepdims": _keepdims(call)}
        steps.add(function, steps.operand(call.args[0]), axis, out, options=options)

    return write


def _cast(call: Call) -> Writer | None:
    x = call.args[0]
    if type(x) is not Value or len(call.args) != 2 or set(call.options) - {"copy", "device"}:
        return None
    if x.dtype.kind not in "fbiu" or call.result.dtype.kind not in "fbiu":
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        steps.add(np.copyto, out, steps.operand(x), "unsafe")

    return write


def _take_trusted(x: Any, places: Any, axis: int | None, out: Any) -> None:
    x.take(places, axis, out, "clip")


def _take_checked(x: Any, places: Any, axis: int | None, out: Any, unsigned: Any, n: int) -> None:
    """Take, and see to it that the positions exist.

    NumPy checks positions and counts negative ones from the end only while it writes elsewhere and copies.
    Seen as unsigned, a negative position is a large one: one look finds both.
    """
    if places.view(unsigned).max(initial=0) < n:
        _take_trusted(x, places, axis, out)
    else:
        x.take(places, axis, out)


def _take(call: Call) -> Writer | None:
    if call.function is not np.take or len(call.args) != 2 or set(call.options) - {"axis"}:
        return None
    x, indices = call.args
    if type(x) is not Value or type(indices) is not Value or indices.dtype.kind != "i":
        return None
    axis = call.options.get("axis")
    if not x.shape or x.size == 0:
        return None
    n = x.shape[axis] if axis is not None else x.size
    if n > 2 ** (8 * indices.dtype.itemsize - 1):
        return None  # a negative position, seen as unsigned, might exist
    unsigned = np.dtype(f"u{indices.dtype.itemsize}")

    def write(steps: Steps, call: Call, out: Any) -> None:
        array, places = steps.operand(x), steps.operand(indices)
        if call.result in steps.trusted:
            steps.add(_take_trusted, array, places, axis, out)
        else:
            steps.add(_take_checked, array, places, axis, out, unsigned, n)

    return write


def _count_into(x: Any, out: Any) -> None:
    out[()] = np.count_nonzero(x)


def _count(call: Call) -> Writer | None:
    if call.result.shape or not _only(call, "axis", "keepdims") or call.args[0].dtype.kind != "b":
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        steps.add(_count_into, steps.operand(call.args[0]), out)

    return write


def _join(call: Call) -> Writer | None:
    function = _JOINS[call.name]
    if (
        len(call.args) != 1
        or set(call.options) - {"axis"}
        or call.function.__name__ not in ("concatenate", "stack")
    ):
        return None
    if any(type(x) is not Value or x.dtype != call.result.dtype for x in call.args[0]):
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        parts = tuple([steps.operand(x) for x in call.args[0]])
        steps.add(function, parts, call.options.get("axis", 0), out)

    return write


def _reshape(call: Call) -> Writer | None:
    """A copy; what reshapes in place is a view, for which nothing is written."""
    x = call.args[0]
    if type(x) is not Value or x.dtype != call.result.dtype or not call.result.shape:
        return None

    def write(steps: Steps, call: Call, out: Any) -> None:
        steps.add(np.copyto, out.reshape(x.shape), steps.operand(x))

    return write


def _unfolded(call: Call) -> Writer:
    def write(steps: Steps, call: Call, out: Any) -> None:
        steps.add(call.function, *[steps.operand(x) for x in call.args], out)

    return write


_FINDERS: dict[str, Callable[[Call], Writer | None]] = {
    **dict.fromkeys(_REDUCTIONS, _reduction), **dict.fromkeys(_POSITIONS, _position),
    **dict.fromkeys(_JOINS, _join), "astype": _cast, "count_nonzero": _count, "mean": _mean,
    "reshape": _reshape, "take": _take, "where": select_writer, UNFOLDED: _unfolded,
}  # fmt: skip
