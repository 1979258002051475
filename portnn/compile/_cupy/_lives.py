"""Liveness: how much memory a program takes in a given order of its calls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias, final

import numpy as np

from portnn import tree
from portnn.compile._cupy._kernels import Group
from portnn.compile._cupy._left import is_view
from portnn.program import Program
from portnn.tracing import Call, Value, values_in

__all__ = ["Lives", "Stage"]

Stage: TypeAlias = Call | list[Group]
"""A call by itself, or groups of elementwise calls that are one kernel."""


@final
class Lives:
    """When the values of a program are computed and last read, in the recorded order.

    Args:
        program: the program.

    Attributes:
        live: before each call, and at the end, the bytes of results that are still to be read.
    """

    def __init__(self, program: Program) -> None:
        self._roots: dict[int, int] = {}  # by the id of a view, the id of the value whose memory it shares
        self._sizes: dict[int, int] = {}
        self._last: dict[int, int] = {}
        made: dict[int, int] = {}
        for n, call in enumerate(program.calls):
            for value in call.inputs():
                self._last[self._root(value)] = n
            for value in call.outputs():
                if is_view(call):
                    self._roots[id(value)] = self._root(call.args[0])
                else:
                    self._sizes[id(value)] = value.size * np.dtype(str(value.dtype)).itemsize
                    made[id(value)] = n
        count = len(program.calls)
        self._last.update((self._root(v), count) for v in values_in(tree.leaves(program.result)))
        changes = [0] * (count + 2)
        for key, n in made.items():
            changes[n + 1] += self._sizes[key]
            changes[min(self._last.get(key, n), count) + 1] -= self._sizes[key]
        self.live = list(accumulate(changes[: count + 1]))

    def _root(self, value: Value) -> int:
        return self._roots.get(id(value), id(value))

    def peak(self, stages: Sequence[Stage], start: int, stop: int) -> int:
        """Return the peak of the bytes in use while stages run.

        Args:
            stages: in the order in which they run.
            start: the first call of the program that they execute.
            stop: the call after the last.
        """
        last: dict[int, int] = {}
        for n, stage in enumerate(stages):
            inputs, outputs = _read_and_made(stage)
            for value in (*inputs, *outputs):
                last[self._root(value)] = n
        over: list[int] = [0] * len(stages)
        for key, n in last.items():
            if self._last.get(key, -1) < stop:
                over[n] += self._sizes.get(key, 0)
        most = used = self.live[start]
        for stage, freed in zip(stages, over, strict=True):
            used += sum([self._sizes.get(id(v), 0) for v in _read_and_made(stage)[1]])
            most = max(most, used)
            used -= freed
        return most


def _read_and_made(stage: Stage) -> tuple[list[Value], list[Value]]:
    if isinstance(stage, Call):
        return [*stage.inputs()], [*stage.outputs()]
    return [v for g in stage for v in g.inputs], [v for g in stage for v in g.outputs]
