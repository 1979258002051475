"""The same program with fewer calls."""

from __future__ import annotations

from dataclasses import replace

from portnn.program._program import Program
from portnn.program._reduce import reduced

__all__ = ["simplify"]


def simplify(program: Program) -> Program:
    """The same program with fewer calls; bit for bit the same results.

    Calls that no result needs are gone, a call that repeats an earlier one is made once, and what hands on
    its argument (a factor of one, a reshaping to the shape that is there) is left out.
    """
    calls, result = reduced(program.calls, program.result)
    return replace(program, calls=tuple(calls), result=result)
