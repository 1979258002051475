"""Primitives on a tape: which calls each of them made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portnn.tracing._namespace import namespace
from portnn.tracing._recorded import births, find_tape
from portnn.tracing._recording import recorded
from portnn.tracing._tape import ATOMS, Call, Nested, Unit, Value, is_plain, map_nested, values_in

__all__ = ["carry_out"]


def carry_out(
    name: str, function: Callable[..., Any], args: tuple[Nested, ...], options: dict[str, Nested]
) -> Any:
    """Carry out a primitive's function and note on its tape which calls it made.

    A primitive within a primitive is not noted: its calls belong to the outer one. Nor is one that reads
    arrays that are not among its arguments: its calls stand for themselves.
    """
    tape = find_tape((args, options))
    if tape is None or tape.nested:
        return function(*args, **options)
    # Plain arrays beside recorded ones: what is made of them inside shall be known as made inside.
    args, options = map_nested(_lift, args), map_nested(_lift, options) if options else options
    begin, start = next(births), len(tape.calls)
    tape.nested = True
    try:
        result = function(*args, **options)
    finally:
        tape.nested = False
    if tape.with_units and len(tape.calls) > start:
        described = tape.describe(args), tape.describe(options), tape.describe(result)
        if _reads_arguments_only(tape.calls[start:], values_in(described[:2]), begin, described[2]):
            tape.units.append(Unit(name, function, *described, start, len(tape.calls)))
    return result


def _lift(item: Any) -> Any:
    """A plain array as a constant of the recording namespace."""
    if type(item) in ATOMS or hasattr(item, "tape") or not is_plain(item):
        return item
    return recorded(namespace(item)).array(item, None, None)


def _reads_arguments_only(calls: list[Call], given: list[Value], begin: int, result: Nested) -> bool:
    """Whether the calls need nothing but the values given, each other's results and constants made since."""
    known = {id(value) for value in given}
    for call in calls:
        if not all(id(value) in known or value.born > begin for value in call.inputs()):
            return False
        known.update(id(value) for value in call.outputs())
    return all(id(value) in known or value.born > begin for value in values_in(result))
