"""Simplifications that change no bit of a result, on calls and lines alike.

What goes: steps that repeat an earlier one, steps that hand on what they are given (a factor of one, a
reshaping to the shape that is there, a transpose of a transpose), and steps that no result needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from portnn import tree
from portnn._typing import Tree
from portnn.program._line import Line
from portnn.tracing import Call, Value, map_nested, values_in

__all__ = ["reduced"]

Step = TypeVar("Step", Call, Line)

_RESHAPING = ("broadcast_to", "permute_dims", "reshape")


def reduced(steps: Sequence[Step], result: Tree) -> tuple[list[Step], Tree]:
    """Fewer steps for the same results, bit for bit, and the values that are the results now."""
    stand_ins: dict[int, Value] = {}
    met: dict[Any, Step] = {}
    transposes: dict[int, Value] = {}  # by a transpose, what it is of
    kept: list[Step] = []
    for written in steps:
        step = _with(written, stand_ins)
        call = _only_call(step, stand_ins)
        same = None if call is None else _handed_on(call, transposes)
        if same is not None:
            stand_ins[id(step.result)] = same
            continue
        before = _met(step, met)
        if before is step:
            kept.append(step)
            if call is not None and call.name == "matrix_transpose" and type(call.args[0]) is Value:
                transposes[id(call.result)] = call.args[0]
        else:
            for value, earlier in zip(step.outputs(), before.outputs(), strict=True):
                stand_ins[id(value)] = earlier
    result = tree.map(lambda leaf: _replaced(leaf, stand_ins), result)
    return _alive(kept, values_in(tree.leaves(result))), result


def _met(step: Step, met: dict[Any, Step]) -> Step:
    """The first step that surely gives the same; the step itself if there was none before."""
    key = (step.function, _hashable(step.args), _hashable(step.options) if step.options else ())
    try:
        return met.setdefault(key, step)
    except TypeError:  # what cannot be compared is never taken to be the same
        return step


def _replaced(nested: Any, stand_ins: dict[int, Value]) -> Any:
    return map_nested(lambda item: stand_ins.get(id(item), item) if type(item) is Value else item, nested)


def _with(step: Step, stand_ins: dict[int, Value]) -> Step:
    """The step, reading the values that stand for those that are gone."""
    if stand_ins.keys().isdisjoint(map(id, step.inputs())):
        return step
    return step.reading(_replaced(step.args, stand_ins), _replaced(step.options, stand_ins))


def _only_call(step: Call | Line, stand_ins: dict[int, Value]) -> Call | None:
    """The call that is all a step does, and gives one array; a line's name alone does not say that."""
    call = step
    if isinstance(call, Line):
        if len(call.calls) != 1 or call.calls[0].result is not call.result:
            return None
        call = _with(call.calls[0], stand_ins)
    return call if type(call.result) is Value and call.args else None


def _handed_on(call: Call, transposes: dict[int, Value]) -> Value | None:
    """The value that the call would give once more, if that is all it does."""
    x, *rest = call.args
    result = call.result
    if call.name == "multiply":
        other = x if rest and _is_one(rest[0]) else rest[0] if rest and _is_one(x) else None
        return other if type(other) is Value and _alike(other, result) and not _is_complex(result) else None
    if type(x) is not Value:
        return None
    if call.name == "matrix_transpose":
        before = transposes.get(id(x))
        return before if before is not None and before.strides == result.strides else None
    if call.name in _RESHAPING and not call.options and x.strides == result.strides and _alike(x, result):
        # For a permutation the second argument says whether the order is kept.
        return x if call.name != "permute_dims" or rest == [tuple(range(len(x.shape)))] else None
    return None


def _is_complex(value: Value) -> bool:
    """Whether a product with one may change: inf * (1 + 0j) has a NaN."""
    return "complex" in str(value.dtype)


def _is_one(x: Any) -> bool:
    """Whether `x` is the number one, or a constant without axes that is."""
    if type(x) is Value:
        return x.constant is not None and not x.shape and bool(x.constant == 1)
    return type(x) in (int, float) and x == 1


def _alike(x: Value, y: Value) -> bool:
    return x.shape == y.shape and x.dtype == y.dtype


def _hashable(item: Any) -> Any:
    kind = type(item)
    if kind is Value:
        return Value, id(item)
    if kind is int or kind is str or item is None:
        return kind, item
    if isinstance(item, tuple | list):
        return type(item), tuple([_hashable(i) for i in item])
    if isinstance(item, dict):
        return tuple([(k, _hashable(v)) for k, v in item.items()])
    if isinstance(item, slice):
        return slice, _hashable((item.start, item.stop, item.step))
    # 0.0 and -0.0 are equal, as are 1, 1.0 and True, but they do not do the same.
    return (type(item), repr(item)) if isinstance(item, int | float | complex) else (type(item), item)


def _alive(steps: list[Step], wanted: list[Value]) -> list[Step]:
    """The steps that have a part in the values that are wanted."""
    needed = set(map(id, wanted))
    kept = []
    for step in reversed(steps):
        if not needed.isdisjoint(map(id, step.outputs())):
            kept.append(step)
            needed.update(map(id, step.inputs()))
    return kept[::-1]
