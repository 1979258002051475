"""Several calls on long flat arrays, one block after the other.

An optimiser goes over all parameters again and again. Where these are longer than a cache, each of its calls
fetches from memory what the one before has just put there; done block by block, they find it in the cache.
Each element is worked on alone and exactly, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from portnn.compile._numpy._kinds import is_exact, ufunc_of
from portnn.tracing import Call, Value

__all__ = ["blocked", "run_of_flat_calls"]

_BLOCK = (
    32_768  # elements: with three or four arrays in float32 half a megabyte, which second-level caches hold
)


def run_of_flat_calls(calls: Sequence[Call], start: int, static: Mapping[Value, Any]) -> int:
    """The position after the last of the calls from `start` on that can be done in blocks together."""
    stop = start
    while stop < len(calls) and _is_flat(calls[stop], calls[start].result, static):
        if not _apart(calls[start : stop + 1], static):
            break
        stop += 1
    return stop


def _apart(calls: Sequence[Call], static: Mapping[Value, Any]) -> bool:
    """Whether no result lies across another array of these calls.

    Memory is given to a value when it is made and taken back after its last use, in the order of the calls.
    In blocks they are carried out in another order, which is right only for arrays that lie apart, or
    exactly upon each other, element by element.
    """
    results = [_span(call.result, static) for call in calls]
    operands = [_span(x, static) for call in calls for x in call.args if type(x) is Value and x.shape]
    return all(a == b or a[1] <= b[0] or b[1] <= a[0] for a in results for b in [*results, *operands])


def _span(value: Value, static: Mapping[Value, Any]) -> tuple[int, int, int]:
    """Where an array begins and ends in memory, and the bytes from element to element."""
    array = static[value] if value.constant is None else value.constant
    return array.ctypes.data, array.ctypes.data + array.nbytes, array.strides[0]


def _is_flat(call: Call, like: Any, static: Mapping[Value, Any]) -> bool:
    """Whether a call is exact, and works on flat arrays of one length that are there already."""
    if ufunc_of(call) is None or not is_exact(call) or call.result not in static:
        return False
    shape = like.shape
    if len(shape) != 1 or shape[0] < 2 * _BLOCK or call.result.shape != shape:
        return False
    operands = [x for x in call.args if type(x) is Value]
    known = [x for x in operands if x in static or x.constant is not None]
    return len(known) == len(operands) and all(
        x.shape == () or (x.shape == shape and _span(x, static)[2] == np.dtype(x.dtype).itemsize)
        for x in known
    )


def blocked(
    calls: Sequence[Call], array_of: Callable[[Value], Any], number_of: Callable[[Any, Call], Any]
) -> Callable[[], None]:
    """A function that carries out calls block by block.

    Args:
        calls: what `run_of_flat_calls` found.
        array_of: gives the array of a value.
        number_of: gives a Python number as an operand of a call.
    """
    n = calls[0].result.shape[0]
    steps: list[tuple[Any, tuple[Any, ...], Any]] = []
    for at in range(0, n, _BLOCK):
        for call in calls:
            operands = [array_of(x) if type(x) is Value else number_of(x, call) for x in call.args]
            parts = tuple(
                [x[at : at + _BLOCK] if isinstance(x, np.ndarray) and x.ndim else x for x in operands]
            )
            steps.append((ufunc_of(call), parts, array_of(call.result)[at : at + _BLOCK]))

    def run() -> None:
        for function, operands, out in steps:
            function(*operands, out=out)

    return run
