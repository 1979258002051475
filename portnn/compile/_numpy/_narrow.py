"""Calls that turn out to do nothing once it is known between which numbers integers lie.

The labels of a data set are looked at once, before the training. That each of them is a class need not be
found out again in each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from portnn import tree
from portnn.compile._numpy._ranges import Range, range_of, ranges_of
from portnn.program import Program, simplify
from portnn.tracing import Call, Value, map_nested

__all__ = ["narrowed"]


def narrowed(program: Program, known: Mapping[Value, Range]) -> Program:
    """The same program for inputs that lie within ranges, with fewer calls and the same results.

    Args:
        program: the program.
        known: the smallest and the largest number of some of its inputs.
    """
    if not known:
        return program
    ranges = ranges_of(program.calls, known)
    stand_ins: dict[Value, Value] = {}
    calls = []
    for written in program.calls:
        call = _reading(written, stand_ins)
        same = _handed_on(call, ranges)
        if same is None:
            calls.append(call)
        else:
            stand_ins[call.result] = same
    if not stand_ins:
        return program
    result = tree.map(lambda leaf: stand_ins.get(leaf, leaf) if type(leaf) is Value else leaf, program.result)
    return simplify(replace(program, calls=tuple(calls), result=result))


def _reading(call: Call, stand_ins: Mapping[Value, Value]) -> Call:
    """The call, reading the values that stand for those that are gone."""
    if stand_ins.keys().isdisjoint(call.inputs()):
        return call
    return call.reading(_replaced(call.args, stand_ins), _replaced(call.options, stand_ins))


def _replaced(nested: Any, stand_ins: Mapping[Value, Value]) -> Any:
    return map_nested(lambda item: stand_ins.get(item, item) if type(item) is Value else item, nested)


def _handed_on(call: Call, ranges: Mapping[Value, Range]) -> Value | None:
    """The value, or the constant, that a call surely gives."""
    if type(call.result) is not Value or len(call.args) < 2:
        return None
    x, y = call.args[:2]
    if call.name in ("maximum", "minimum") and type(x) is Value and type(y) is int:
        within = range_of(x, ranges)
        if within is None or (x.shape, x.dtype) != (call.result.shape, call.result.dtype):
            return None
        return x if (within[0] >= y if call.name == "maximum" else within[1] <= y) else None
    if call.name == "equal" and x is y and type(x) is Value and x.dtype.kind in "iu":
        return Value(
            np.ones(x.shape, dtype=bool), constant=True
        )  # of floating-point numbers NaN would differ
    if call.name == "where" and type(x) is Value and x.constant is not None and type(y) is Value:
        alike = (y.shape, y.dtype) == (call.result.shape, call.result.dtype)
        return y if alike and bool(np.all(x.constant)) else None
    return None
