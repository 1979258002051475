"""Several calls on long arrays, some rows after the other.

An optimiser goes over all parameters again and again, and a loss over all predictions. Where these are longer
than a cache, each call fetches from memory what the one before has just put there; done block by block, they
find it in the cache, and several threads can each take their blocks. Each row is worked on alone and in the
same way, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from portnn.compile._numpy._kinds import is_exact, ufunc_of
from portnn.compile._numpy._selection import keep_or_zero, keeps_or_zeros
from portnn.compile._numpy._team import Part, Team, ranges
from portnn.tracing import Call, Value

__all__ = ["blocked", "run_of_long_calls"]

_BLOCK = (
    32_768  # elements: with three or four arrays in float32 half a megabyte, which second-level caches hold
)
_LARGE_BLOCK = 2**18  # for several threads: each call waits until Python's lock is free
_SHARED = 2**19  # elements of all calls together from which on waking another thread pays, some 20 us
# NumPy computes these for each element of a contiguous array alike, wherever in the array it is.
_ALIKE = frozenset({np.exp, np.log, np.tanh})
# These take twice as long beside a single number as beside a row of it.
_SLOW_BESIDE_NUMBERS = frozenset({np.maximum, np.minimum})
_REDUCED: dict[str, Callable[..., Any]] = {
    "sum": np.add.reduce, "max": np.maximum.reduce, "argmax": np.argmax,
}  # fmt: skip


def run_of_long_calls(calls: Sequence[Call], start: int, static: Mapping[Value, Any]) -> int:
    """The position after the last of the calls from `start` on that can be done in blocks together."""
    stop, first = start, calls[start]
    if type(first.result) is not Value or _longest(first) < 2 * _BLOCK:
        return start
    while stop < len(calls) and _goes_by_rows(calls[stop], first.result.shape[:1], static):
        if not _apart(calls[start : stop + 1], static):
            break
        stop += 1
    return stop


def _apart(calls: Sequence[Call], static: Mapping[Value, Any]) -> bool:
    """Whether no result lies across another array of these calls.

    Memory is given to a value when it is made and taken back after its last use, in the order of the calls.
    In blocks they are carried out in another order, which is right only for arrays that lie apart, or
    exactly upon each other, row by row.
    """
    results = [_span(call.result, static) for call in calls]
    operands = [_span(x, static) for call in calls for x in call.args if type(x) is Value and x.shape]
    return all(a == b or a[1] <= b[0] or b[1] <= a[0] for a in results for b in [*results, *operands])


def _span(value: Value, static: Mapping[Value, Any]) -> tuple[int, int, int]:
    """Where an array begins and ends in memory, and the bytes from row to row."""
    array = _array(value, static)
    return array.ctypes.data, array.ctypes.data + array.nbytes, array.strides[0]


def _array(value: Value, static: Mapping[Value, Any]) -> Any:
    return static[value] if value.constant is None else value.constant


def _longest(call: Call) -> int:
    """The number of elements of a call's largest array."""
    return max([prod(x.shape) for x in (call.result, *call.args) if type(x) is Value])


def _goes_by_rows(call: Call, rows: tuple[int, ...], static: Mapping[Value, Any]) -> bool:
    """Whether a call works on so many rows of contiguous arrays one by one, all of them there already."""
    if type(call.result) is not Value or call.result not in static or not rows:
        return False
    operands = [x for x in call.args if type(x) is Value]
    if call.result.shape[:1] != rows or _function(call) is None:
        return False
    if not all(x in static or x.constant is not None for x in operands):
        return False
    return all(_array(x, static).flags.c_contiguous for x in (call.result, *operands))


def _function(call: Call) -> Callable[..., Any] | None:
    """What carries a call out on some rows, given its operands and the result by the name of `out`."""
    ufunc = ufunc_of(call)
    if ufunc is not None:
        return ufunc if (is_exact(call) or ufunc in _ALIKE) and _aligned(call) else None
    if keeps_or_zeros(call):
        return keep_or_zero if _aligned(call) else None
    reduce = _REDUCED.get(call.name)
    if reduce is None or len(call.args) != 1 or set(call.options) - {"axis", "dtype", "keepdims"}:
        return None
    x, axis = call.args[0], call.options.get("axis")
    if type(x) is not Value or len(x.shape) < 2 or axis not in (-1, len(x.shape) - 1):
        return None
    if x.dtype.kind != "f" or (x.dtype != call.result.dtype) != (call.name == "argmax"):
        return None
    options = {"dtype": x.dtype} if call.name == "sum" else {}
    return partial(reduce, axis=-1, keepdims=bool(call.options.get("keepdims")), **options)


def _aligned(call: Call) -> bool:
    """Whether a row of the result comes of the same row of operands as long, and of the whole of others."""
    shape = call.result.shape
    return all(
        _has_rows(x, shape) or len(x.shape) < len(shape) or x.shape[0] == 1
        for x in call.args
        if type(x) is Value
    )


def _has_rows(x: Value, shape: tuple[int, ...]) -> bool:
    return len(x.shape) == len(shape) and x.shape[0] == shape[0]


def blocked(
    calls: Sequence[Call],
    array_of: Callable[[Value], Any],
    number_of: Callable[[Any, Call], Any],
    team: Team,
) -> Part:
    """A function that carries out calls block by block.

    Args:
        calls: what `run_of_long_calls` found.
        array_of: gives the array of a value.
        number_of: gives a Python number as an operand of a call.
        team: the threads that take blocks.
    """
    n = calls[0].result.shape[0]
    values = [x for call in calls for x in (call.result, *call.args) if type(x) is Value]
    widest = max([prod(x.shape) // n for x in values if x.shape[:1] == (n,)])
    members = team.size if sum(map(_longest, calls)) >= _SHARED else 1
    rows = max(1, (_BLOCK if members == 1 else _LARGE_BLOCK) // widest)

    def row_of(x: Any, call: Call) -> Any:
        number, shape = number_of(x, call), call.result.shape[1:]
        slow = ufunc_of(call) in _SLOW_BESIDE_NUMBERS and isinstance(number, np.ndarray)
        return np.full(shape, number) if slow and shape else number

    def steps(start: int, stop: int) -> list[Any]:
        found = []
        for at in range(start, stop, rows):
            block = slice(at, min(at + rows, stop))
            for call in calls:
                operands = [array_of(x) if type(x) is Value else row_of(x, call) for x in call.args]
                cut = [a[block] if _is_cut(x, call) else a for x, a in zip(call.args, operands, strict=True)]
                found.append((_function(call), cut, array_of(call.result)[block]))
        return found

    def part(mine: list[Any]) -> None:
        for function, operands, out in mine:
            function(*operands, out=out)

    return team.together([partial(part, steps(*ends)) for ends in ranges(n, members, rows)])


def _is_cut(x: Any, call: Call) -> bool:
    """Whether an operand is cut into the same rows as the result; the one of a reduction always is."""
    return type(x) is Value and (call.name in _REDUCED or _has_rows(x, call.result.shape))
