"""How a call is written as a line of a plan that puts its result into a given array."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from portnn.compile._numpy._kinds import ufunc_of
from portnn.compile._numpy._selection import select_writer
from portnn.compile._numpy._source import Source, Writer
from portnn.compile._numpy._unfolded import NAME as UNFOLDED
from portnn.tracing import Call, Value

__all__ = ["writer_of"]

_REDUCTIONS: dict[str, tuple[Callable[..., Any], np.ufunc]] = {
    "sum": (np.sum, np.add), "prod": (np.prod, np.multiply), "max": (np.max, np.maximum),
    "min": (np.min, np.minimum), "any": (np.any, np.logical_or), "all": (np.all, np.logical_and),
}  # fmt: skip
_POSITIONS = {"argmax": np.argmax, "argmin": np.argmin}
_JOINS = {"concat": np.concatenate, "stack": np.stack}


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


def _write_ufunc(source: Source, call: Call, out: str) -> None:
    function = source.bind(source.forms.get(call.result) or ufunc_of(call), "f")
    operands = [
        source.operand(x) if type(x) is Value else source.bind(source.number(x, call), "k") for x in call.args
    ]
    # NumPy takes the result of these two by its name only.
    mark = "out=" if call.name in ("maximum", "minimum") else ""
    source.add(f"{function}({', '.join(operands)}, {mark}{out})")


def _reduction(call: Call) -> Writer | None:
    function, ufunc = _REDUCTIONS[call.name]
    x = call.args[0]
    if call.function is not function or not _only(call, "axis", "dtype", "keepdims"):
        return None
    if call.name in ("any", "all") and x.dtype.kind != "b":
        return None

    def write(source: Source, call: Call, out: str) -> None:
        axis, keepdims = source.bind(call.options.get("axis"), "k"), bool(call.options.get("keepdims"))
        dtype = source.bind(call.result.dtype if call.name in ("sum", "prod") else None, "k")
        reduce = source.bind(ufunc.reduce, "f")
        source.add(f"{reduce}({source.operand(x)}, {axis}, {dtype}, {out}, {keepdims})")

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

    def write(source: Source, call: Call, out: str) -> None:
        axis, keepdims = source.bind(call.options.get("axis"), "k"), bool(call.options.get("keepdims"))
        reduce, divide = source.bind(np.add.reduce, "f"), source.bind(np.divide, "f")
        source.add(f"{reduce}({source.operand(x)}, {axis}, None, {out}, {keepdims})")
        # As NumPy's own mean: the count is an integer, so the quotient is worked out in float64.
        source.add(f"{divide}({out}, {source.bind(n, 'k')}, {out}, casting='unsafe')")

    return write


def _position(call: Call) -> Writer | None:
    function = _POSITIONS[call.name]
    if call.function is not function or not _only(call, "axis", "keepdims"):
        return None

    def write(source: Source, call: Call, out: str) -> None:
        axis, keepdims = source.bind(call.options.get("axis"), "k"), bool(call.options.get("keepdims"))
        source.add(f"{source.operand(call.args[0])}.{call.name}({axis}, {out}, keepdims={keepdims})")

    return write


def _cast(call: Call) -> Writer | None:
    x = call.args[0]
    if type(x) is not Value or len(call.args) != 2 or set(call.options) - {"copy", "device"}:
        return None
    if x.dtype.kind not in "fbiu" or call.result.dtype.kind not in "fbiu":
        return None

    def write(source: Source, call: Call, out: str) -> None:
        source.add(f"{source.bind(np.copyto, 'f')}({out}, {source.operand(x)}, 'unsafe')")

    return write


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

    def write(source: Source, call: Call, out: str) -> None:
        array, places = source.operand(x), source.operand(indices)
        along = source.bind(axis, "k")
        quick = f"{array}.take({places}, {along}, {out}, 'clip')"
        if indices in source.trusted:
            source.add(quick)
            return
        # NumPy checks positions and counts negative ones from the end only while it writes elsewhere and
        # copies. Seen as unsigned, a negative position is a large one: one look finds both.
        largest = f"{source.seen_as(places, unsigned)}.max(initial=0)"
        source.add(f"{quick} if {largest} < {n} else {array}.take({places}, {along}, {out})")

    return write


def _count(call: Call) -> Writer | None:
    if call.result.shape or not _only(call, "axis", "keepdims") or call.args[0].dtype.kind != "b":
        return None

    def write(source: Source, call: Call, out: str) -> None:
        source.add(f"{out}[()] = {source.bind(np.count_nonzero, 'f')}({source.operand(call.args[0])})")

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

    def write(source: Source, call: Call, out: str) -> None:
        parts = ", ".join(source.operand(x) for x in call.args[0])
        axis = source.bind(call.options.get("axis", 0), "k")
        source.add(f"{source.bind(function, 'f')}(({parts},), {axis}, out={out})")

    return write


def _reshape(call: Call) -> Writer | None:
    """A copy; what reshapes in place is a view, for which nothing is written."""
    x = call.args[0]
    if type(x) is not Value or x.dtype != call.result.dtype or not call.result.shape:
        return None

    def write(source: Source, call: Call, out: str) -> None:
        shape = source.bind(x.shape, "k")
        source.add(f"{source.bind(np.copyto, 'f')}({out}.reshape({shape}), {source.operand(x)})")

    return write


def _unfolded(call: Call) -> Writer:
    def write(source: Source, call: Call, out: str) -> None:
        x, other = (source.operand(a) for a in call.args)
        source.add(f"{source.bind(call.function, 'f')}({x}, {other}, {out})")

    return write


_FINDERS: dict[str, Callable[[Call], Writer | None]] = {
    **dict.fromkeys(_REDUCTIONS, _reduction), **dict.fromkeys(_POSITIONS, _position),
    **dict.fromkeys(_JOINS, _join), "astype": _cast, "count_nonzero": _count, "mean": _mean,
    "reshape": _reshape, "take": _take, "where": select_writer, UNFOLDED: _unfolded,
}  # fmt: skip
