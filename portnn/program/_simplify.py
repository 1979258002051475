"""Simplifications that change no bit of a result: dead calls, repeated calls, and factors of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from portnn import tree
from portnn.program._program import Program
from portnn.tracing import Call, Value, map_nested, values_in

__all__ = ["simplify"]

_UNNAMED = object()  # equal to nothing: what cannot be compared is never taken to be the same


def simplify(program: Program) -> Program:
    """The same program with fewer calls; bit for bit the same results."""
    stand_ins: dict[int, Value] = {}
    met: dict[Any, Call] = {}
    calls: list[Call] = []
    for call in (_with(call, stand_ins) for call in program.calls):
        factor = _times_one(call)
        if factor is not None:
            stand_ins[id(call.result)] = factor
            continue
        key = _key(call)
        before = met.get(key)
        if before is None:
            met[key] = call
            calls.append(call)
        else:
            for value, earlier in zip(call.outputs(), before.outputs(), strict=True):
                stand_ins[id(value)] = earlier
    result = _replaced(program.result, stand_ins)
    return replace(program, calls=tuple(_alive(calls, values_in(tree.leaves(result)))), result=result)


def _replaced(nested: Any, stand_ins: dict[int, Value]) -> Any:
    return map_nested(lambda item: stand_ins.get(id(item), item) if type(item) is Value else item, nested)


def _with(call: Call, stand_ins: dict[int, Value]) -> Call:
    """The call, reading the values that stand for those that are gone."""
    if not any(id(value) in stand_ins for value in call.inputs()):
        return call
    args, options = _replaced(call.args, stand_ins), _replaced(call.options, stand_ins)
    return Call(call.name, call.function, args, options, call.result)


def _times_one(call: Call) -> Value | None:
    """The other factor of a product with a constant number one, if that is all the product is."""
    if call.name != "multiply" or len(call.args) != 2:
        return None
    for one, other in (call.args, call.args[::-1]):
        if type(one) is not Value or one.constant is None or one.shape or type(other) is not Value:
            continue
        result = call.result
        if other.shape == result.shape and other.dtype == result.dtype and bool(one.constant == 1):
            return other
    return None


def _key(call: Call) -> Any:
    """Equal for two calls that surely give the same."""
    try:
        key = (call.function, _hashable(call.args), _hashable(call.options))
        hash(key)
    except TypeError:
        return _UNNAMED, id(call)
    return key


def _hashable(item: Any) -> Any:
    if type(item) is Value:
        return Value, id(item)
    if isinstance(item, tuple | list):
        return type(item), tuple([_hashable(i) for i in item])
    if isinstance(item, dict):
        return tuple([(k, _hashable(v)) for k, v in item.items()])
    if isinstance(item, slice):
        return slice, _hashable((item.start, item.stop, item.step))
    # 0.0 and -0.0 are equal, as are 1, 1.0 and True, but they do not do the same.
    return (type(item), repr(item)) if isinstance(item, int | float | complex) else (type(item), item)


def _alive(calls: list[Call], wanted: list[Value]) -> list[Call]:
    """The calls that have a part in the values that are wanted."""
    needed = {id(value) for value in wanted}
    kept = []
    for call in reversed(calls):
        if any(id(value) in needed for value in call.outputs()):
            kept.append(call)
            needed.update(id(value) for value in call.inputs())
    return kept[::-1]
