"""Between which numbers integers surely lie, so that positions need not be looked at in each run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from portnn.compile._numpy._kinds import is_view
from portnn.tracing import Call, Value

__all__ = ["Range", "range_of", "ranges_of", "surely_within"]

Range: TypeAlias = tuple[int, int]


def surely_within(
    calls: Sequence[Call], trusted: Iterable[Value], known: Mapping[Value, Range]
) -> set[Value]:
    """The results of calls of `take` whose positions exist whatever the inputs are.

    Args:
        calls: the calls of a program.
        trusted: positions of which that is known already, whatever they are taken from.
        known: where some of the inputs lie.
    """
    ranges, trusted = ranges_of(calls, known), set(trusted)
    found = set()
    for call in calls:
        if call.name == "take" and type(call.args[1]) is Value:
            low, high = range_of(call.args[1], ranges) or (-1, -1)
            # The same positions may be taken from a shorter array too, where they do not exist.
            if call.args[1] in trusted or (low >= 0 and high < _length(call)):
                found.add(call.result)
    return found


def ranges_of(calls: Sequence[Call], known: Mapping[Value, Range]) -> dict[Value, Range]:
    """Where integers among the values of a program lie, as far as that can be told.

    Args:
        calls: the calls of the program.
        known: what is known of its inputs.
    """
    ranges = dict(known)
    for call in calls:
        if type(call.result) is Value and call.result.dtype.kind in "iu":
            found = _result(call, ranges)
            if found is not None:
                ranges[call.result] = found
    return ranges


def _length(call: Call) -> int:
    x, axis = call.args[0], call.options.get("axis")
    size = int(np.prod(x.shape, dtype=np.int64))
    return size if axis is None or not x.shape else x.shape[axis]


def range_of(x: Any, ranges: Mapping[Value, Range]) -> Range | None:
    """Where an operand lies."""
    if type(x) is int:
        return x, x
    if type(x) is not Value:
        return None
    if x.constant is not None and x.dtype.kind in "iu" and 0 not in x.shape:
        return int(np.min(x.constant)), int(np.max(x.constant))
    return ranges.get(x)


def _result(call: Call, ranges: Mapping[Value, Range]) -> Range | None:
    """Where the result of a call lies."""
    if call.name in ("argmax", "argmin"):
        x, axis = call.args[0], call.options.get("axis")
        n = int(np.prod(x.shape, dtype=np.int64)) if axis is None else x.shape[axis]
        return 0, n - 1
    if call.name == "in_range" and call.options["exempt"] is None:
        return call.options["low"], call.options["high"] - 1
    if is_view(call) or call.name in ("take", "astype"):
        x = call.args[0]
        found = range_of(x, ranges) if type(x) is Value and x.dtype.kind in "iu" else None
        info = np.iinfo(call.result.dtype)
        return found if found is not None and info.min <= found[0] <= found[1] <= info.max else None
    if call.name in ("maximum", "minimum"):
        return _clamped(call, [range_of(x, ranges) for x in call.args])
    operands = call.args[1:] if call.name == "where" else call.args
    if call.name not in ("where", "add") or len(operands) != 2:
        return None
    first, second = (range_of(x, ranges) for x in operands)
    if first is None or second is None:
        return None
    (a, b), (c, d) = first, second
    if call.name == "where":
        return min(a, c), max(b, d)
    near = max(abs(end) for end in (a, b, c, d)) < _FAR // 2  # a sum that cannot wrap around in 64 bits
    return (a + c, b + d) if near and call.result.dtype.itemsize == 8 else None


_FAR = 2**62  # beyond every position


def _clamped(call: Call, operands: Sequence[Range | None]) -> Range | None:
    """The larger or smaller of two numbers; if only one is known, the result is bounded on one side."""
    known = [r for r in operands if r is not None]
    if not known:
        return None
    lows, highs = [r[0] for r in known], [r[1] for r in known]
    if len(known) == 2:
        pick = max if call.name == "maximum" else min
        return pick(lows), pick(highs)
    return (lows[0], _FAR) if call.name == "maximum" else (-_FAR, highs[0])
