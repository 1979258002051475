"""Fusion: which elementwise calls become one kernel, and the order in which everything is carried out."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import ceil, prod
from typing import final

from portnn import tree
from portnn.compile._cupy._elementwise import CHEAP, Member, lower
from portnn.compile._cupy._kernels import Group
from portnn.compile._cupy._lives import Lives, Stage
from portnn.program import Program
from portnn.tracing import Call, Value, values_in

__all__ = ["fuse"]

_MOST_MEMBERS = 96  # of a group: three operands each stay below the 4 KiB that a kernel's parameters may take
_MOST_OPERANDS = 256  # of groups side by side, for the same reason
_MOST_REPEATS = 32  # times that an expensive function may be computed again to save a launch

_MORE, _SLACK = 1.1, 2**22  # memory that fusion may use: a factor of the recorded order's, and bytes


@final
class _Unit:
    """One call that is not elementwise, or a growing group of calls that are."""

    __slots__ = ("before", "calls", "members", "number", "shape")

    def __init__(self, number: int, call: Call, member: Member | None) -> None:
        self.number = number
        self.calls = [call]
        self.members = [] if member is None else [member]
        self.shape: tuple[int, ...] | None = None if member is None else call.result.shape
        self.before = 0  # the units that must run earlier, as bits


def fuse(program: Program) -> list[Stage]:
    """The calls of a program in an order in which they can run, elementwise ones in groups.

    Groups in one list do not depend on each other. A group waits for all that its calls read, so joining
    calls that are far apart keeps more results in memory than the recorded order does. If that is much more,
    the program is split where few results are in memory, and calls join within a part only.
    """
    lives = Lives(program)
    written: list[Stage] = list(program.calls)
    most = _MORE * lives.peak(written, 0, len(written)) + _SLACK
    return _fused(program, lives, 0, len(written), most)


def _fused(program: Program, lives: Lives, start: int, stop: int, most: float) -> list[Stage]:
    """Return stages for some of the calls, in `most` bytes of memory if the recorded order fits in them."""
    calls = program.calls[start:stop]
    needed = {id(v) for v in values_in(tree.leaves(program.result))}
    needed |= {id(v) for call in program.calls[stop:] for v in call.inputs()}
    stages = _in_order(_inlined(_grouped(calls), needed), needed)
    if stop - start < 2 or lives.peak(stages, start, stop) <= most:
        return stages
    middle, reach = (start + stop) / 2, max(1, (stop - start) // 4)
    between = range(max(start + 1, ceil(middle) - reach), min(stop - 1, int(middle) + reach) + 1)
    cut = min(between, key=lambda n: (lives.live[n], abs(n - middle)))
    return [
        *_fused(program, lives, start, cut, most),
        *_fused(program, lives, cut, stop, most),
    ]


def _grouped(calls: Sequence[Call]) -> list[_Unit]:
    """Each elementwise call joins the newest group of its shape that it can join without a cycle."""
    units: list[_Unit] = []
    maker: dict[int, _Unit] = {}
    for call in calls:
        sources = {maker[id(v)].number: maker[id(v)] for v in call.inputs() if id(v) in maker}
        member = lower(call)
        home = None if member is None else _home(call, units, list(sources.values()))
        if home is None:
            home = _Unit(len(units), call, member)
            units.append(home)
        else:
            home.calls.append(call)
            if member is not None:
                home.members.append(member)
        new = 0
        for unit in sources.values():
            if unit is not home:
                new |= unit.before | 1 << unit.number
        for unit in units:
            if unit is home or unit.before >> home.number & 1:
                unit.before |= new
        maker.update((id(v), home) for v in call.outputs())
    return units


def _home(call: Call, units: list[_Unit], sources: list[_Unit]) -> _Unit | None:
    """A group that nothing this call reads has to wait for."""
    for unit in reversed(units):
        if unit.shape != call.result.shape or len(unit.members) >= _MOST_MEMBERS:
            continue
        if not any(s is not unit and s.before >> unit.number & 1 for s in sources):
            return unit
    return None


def _inlined(units: list[_Unit], wanted: set[int]) -> list[_Unit]:
    """Smaller groups that only one larger group reads become a part of it, which computes them anew."""
    readers: dict[int, set[int]] = {}
    for unit in units:
        for call in unit.calls:
            for v in call.inputs():
                readers.setdefault(id(v), set()).add(unit.number)
    by_number = {u.number: u for u in units}
    gone: set[int] = set()
    for unit in reversed(units):  # the readers of a group come to rest before it is looked at
        made = [v for call in unit.calls for v in call.outputs()]
        if not unit.members or any(id(v) in wanted for v in made):
            continue
        others = {n for v in made for n in readers.get(id(v), ())} - {unit.number}
        target = by_number[next(iter(others))] if len(others) == 1 else None
        if target is None or not _fits(unit, target):
            continue
        target.members[:0] = unit.members
        target.calls[:0] = unit.calls
        by_number[unit.number] = target
        gone.add(unit.number)
        for numbers in readers.values():
            if unit.number in numbers:
                numbers.discard(unit.number)
                numbers.add(target.number)
    return [u for u in units if u.number not in gone]


def _fits(small: _Unit, large: _Unit) -> bool:
    shape, own = large.shape, small.shape
    if shape is None or own is None or shape == own or len(own) > len(shape):
        return False
    if len(small.members) + len(large.members) > _MOST_MEMBERS or not prod(own):
        return False
    if any(n not in (1, m) for n, m in zip(reversed(own), reversed(shape), strict=False)):
        return False
    repeats = prod(shape) // prod(own)
    return repeats <= _MOST_REPEATS or all(m.call.name in CHEAP for m in small.members)


def _in_order(units: list[_Unit], needed: set[int]) -> list[Stage]:
    """What is no kernel runs as soon as it can; kernels that are then ready run side by side."""
    maker = {id(v): u for u in units for call in u.calls for v in call.outputs()}
    sources = {u: {maker[id(v)] for c in u.calls for v in c.inputs() if id(v) in maker} - {u} for u in units}
    targets: dict[_Unit, list[_Unit]] = {u: [] for u in units}
    for unit, found in sources.items():
        for source in found:
            targets[source].append(unit)
    waiting = {u: len(found) for u, found in sources.items()}
    read = _read_elsewhere(units, needed)
    ready = [(bool(u.members), u.number, u) for u in units if not waiting[u]]
    heapq.heapify(ready)
    stages: list[Stage] = []
    while ready:
        is_kernel = ready[0][0]
        together = [heapq.heappop(ready)[2]]
        while is_kernel and ready:
            together.append(heapq.heappop(ready)[2])
        stages += _side_by_side([_group(u, read) for u in together]) if is_kernel else [together[0].calls[0]]
        for unit in together:
            for target in targets[unit]:
                waiting[target] -= 1
                if not waiting[target]:
                    heapq.heappush(ready, (bool(target.members), target.number, target))
    return stages


def _read_elsewhere(units: list[_Unit], needed: set[int]) -> set[int]:
    """The values that are needed outside the unit that makes them."""
    needed = set(needed)
    for unit in units:
        made = {id(v) for call in unit.calls for v in call.outputs()}
        needed |= {id(v) for call in unit.calls for v in call.inputs() if id(v) not in made}
    return needed


def _group(unit: _Unit, needed: set[int]) -> Group:
    made = {id(v) for call in unit.calls for v in call.outputs()}
    inputs = {id(v): v for call in unit.calls for v in call.inputs() if id(v) not in made}
    outputs: list[Value] = [m.call.result for m in unit.members if id(m.call.result) in needed]
    assert unit.shape is not None
    return Group(unit.shape, tuple(unit.members), tuple(inputs.values()), tuple(outputs))


def _side_by_side(groups: list[Group]) -> list[list[Group]]:
    """As many groups in a kernel as its parameters allow."""
    kernels: list[list[Group]] = []
    room = 0
    for group in groups:
        operands = len(group.inputs) + len(group.outputs)
        if not kernels or operands > room:
            kernels.append([])
            room = _MOST_OPERANDS
        kernels[-1].append(group)
        room -= operands
    return kernels
