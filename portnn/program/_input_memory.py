"""The memory of what depends on one input of a program."""

from __future__ import annotations

from dataclasses import replace

from portnn.program._program import Program

__all__ = ["memory_of_last"]


def memory_of_last(program: Program, kept: int) -> int:
    """Return the bytes of the results that depend on the last input, one sample.

    Args:
        program: the trace.
        kept: how many times all results are in memory; 0 if each is freed after its last use.
    """
    own, calls = {program.inputs[-1]}, []
    for call in program.calls:
        if not own.isdisjoint(call.inputs()):
            own.update(call.outputs())
            calls.append(call)
    part = replace(program, calls=tuple(calls))
    if not kept:
        return part.peak_bytes
    return kept * replace(part, result=[value for call in calls for value in call.outputs()]).peak_bytes
