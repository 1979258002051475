"""Checks of inputs that run before a plan which cannot raise while it runs, such as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from portnn import tree
from portnn._typing import Array
from portnn.program import Program
from portnn.tracing import Call, OutOfRangeError, Value, map_nested

__all__ = ["Check", "found_in_steps", "inputs_checked"]

Check: TypeAlias = Callable[[Sequence[Array]], None]
"""Checks the inputs of a program; raises for an id, label, length or position out of range."""


def inputs_checked(program: Program) -> tuple[Program, list[Check]]:
    """Return the program without the checks of its inputs, and these checks.

    Args:
        program: a simplified program. Checks of values that it computes itself are kept.
    """
    places = {value: i for i, value in enumerate(program.inputs)}
    stand_ins: dict[Value, Value] = {}
    calls: list[Call] = []
    checks: list[Check] = []

    def replaced(nested: Any) -> Any:
        return map_nested(lambda x: stand_ins.get(x, x) if type(x) is Value else x, nested)

    for call in program.calls:
        if call.name == "in_range" and (x := replaced(call.args[0])) in places:
            stand_ins[call.result] = x
            checks.append(partial(_look, call, places[x]))
        else:
            calls.append(call.reading(replaced(call.args), replaced(call.options)))
    return replace(program, calls=tuple(calls), result=tree.map(replaced, program.result)), checks


def _look(call: Call, place: int, arrays: Sequence[Array]) -> None:
    call.function(arrays[place], **call.options)


def found_in_steps(steps: int) -> OutOfRangeError:
    """Return the error for training steps that found a value out of range and could not raise."""
    return OutOfRangeError(
        "an id, label, length or position that a layer computes is out of range in one of "
        f"{steps} steps; fit(compile=False) says which"
    )
