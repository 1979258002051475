"""Packs: arrays that are always treated alike, laid end to end so that one call serves them all.

An optimiser does the same few things to every parameter. Where the parameters lie in one flat buffer, and
their gradients and moments in others, each of these things is one call however many layers there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any, final

import numpy as np

from portnn.compile._numpy._kinds import is_exact, is_view, ufunc_of
from portnn.compile._numpy._writers import writer_of
from portnn.tracing import Call, Value

__all__ = ["Pack", "pack_calls"]


@final
class Pack:
    """Values of one dtype that lie end to end.

    Attributes:
        members: the values, in the order in which they lie.
        flat: the value that all of them make up, with one axis.
    """

    def __init__(self, members: Sequence[Value]) -> None:
        self.members = tuple(members)
        sizes = [_size(v) for v in members]
        self.offsets = [sum(sizes[:i]) for i in range(len(sizes))]
        # Strides of an array that lies at once; nothing of this size is allocated.
        self.flat = Value(np.lib.stride_tricks.as_strided(np.empty((), members[0].dtype), (0,), (0,)))
        self.flat.shape = (sum(sizes),)
        self.flat.strides = (np.dtype(members[0].dtype).itemsize,)

    def views(self, array: Any) -> list[Any]:
        """The members' arrays, as views of the flat one."""
        parts = zip(self.members, self.offsets, strict=True)
        return [array[at : at + _size(v)].reshape(v.shape) for v, at in parts]


def _size(value: Value) -> int:
    return value.size


def _row_major(value: Value) -> bool:
    expected, step = [], np.dtype(value.dtype).itemsize
    for n in reversed(value.shape):
        expected.append(step)
        step *= n
    found = value.strides or ()
    return all(n == 1 or s == e for n, s, e in zip(value.shape, found, reversed(expected), strict=True))


def pack_calls(
    calls: Sequence[Call], seed: Sequence[Value], owned: Sequence[Value]
) -> tuple[list[Call], list[Pack]]:
    """Let one call do what several do to values that lie end to end.

    Args:
        calls: the calls of a program.
        seed: values that shall lie end to end, such as the parameters; each of `owned`.
        owned: inputs whose memory is the plan's own, so that it may decide how they lie.

    Returns:
        The calls, with fewer of them where that was possible, and the packs; both unchanged and empty
        where nothing could be joined.
    """
    work = _Packing(calls, owned)
    if len(seed) < 2 or not work.packable(seed):
        return list(calls), []
    work.found([*seed])
    while work.waiting:
        work.grow(work.waiting.pop())
    if not work.joined:
        return list(calls), []
    ordered = work.ordered()
    return (list(calls), []) if ordered is None else (ordered, work.packs)


class _Packing:
    def __init__(self, calls: Sequence[Call], owned: Sequence[Value]) -> None:
        self.calls = calls
        self.owned = {id(v) for v in owned}
        self.ufuncs = {id(call): ufunc_of(call) for call in calls}
        self.makers: dict[int, Call] = {id(v): c for c in calls for v in c.outputs()}
        self.users: dict[int, list[tuple[Call, int]]] = defaultdict(list)
        for call in calls:
            for position, x in enumerate(call.args):
                if type(x) is Value:
                    self.users[id(x)].append((call, position))
        self.packs: list[Pack] = []
        self.member: dict[int, tuple[Pack, int]] = {}
        self.joined: dict[int, Call] = {}  # by the id of a call: the one that does its work
        self.waiting: list[Pack] = []

    def packable(self, values: Sequence[Value]) -> bool:
        """Whether values that are in no pack yet may become one."""
        if len({id(v) for v in values}) < len(values) or len({v.dtype for v in values}) > 1:
            return False
        return all(id(v) not in self.member and _row_major(v) and self._placeable(v) for v in values)

    def _placeable(self, value: Value) -> bool:
        """Whether the plan decides where a value lies."""
        if id(value) in self.owned:
            return True
        maker = self.makers.get(id(value))
        return maker is not None and not is_view(maker) and writer_of(maker) is not None

    def found(self, values: Sequence[Value]) -> Pack:
        pack = Pack(values)
        self.packs.append(pack)
        for i, value in enumerate(values):
            self.member[id(value)] = pack, i
        self.waiting.append(pack)
        return pack

    def grow(self, pack: Pack) -> None:
        """Join the calls that use a pack, and those that make it."""
        first = pack.members[0]
        for call, position in self.users[id(first)]:
            twins = [self._twin(call, position, v) for v in pack.members[1:]]
            alike = [twin for twin in twins if twin is not None]
            if len(alike) == len(twins):
                self.join([call, *alike])
        makers = [self.makers[id(v)] for v in pack.members if id(v) in self.makers]
        if len(makers) == len(pack.members):
            self.join(makers)

    def _twin(self, call: Call, position: int, value: Value) -> Call | None:
        """The call that does to `value` what `call` does to another."""
        ufunc = self.ufuncs[id(call)]
        for other, at in self.users[id(value)]:
            if at == position and self.ufuncs[id(other)] is ufunc and id(other) not in self.joined:
                return other
        return None

    def join(self, calls: list[Call]) -> None:
        """Let one call do the work of several, if it can."""
        if len({id(c) for c in calls}) < len(calls) or any(id(c) in self.joined for c in calls):
            return
        ufuncs = {self.ufuncs[id(c)] for c in calls}
        if len(ufuncs) > 1 or None in ufuncs or not is_exact(calls[0]):
            return
        results = [c.result for c in calls]
        known = self._together(results)
        if known is None and not self.packable(results):
            return
        columns = [[c.args[i] for c in calls] for i in range(len(calls[0].args))]
        if not all(self._joinable(column, results) for column in columns):
            return
        fresh = [c for c in columns if not self._shared(c, results) and self._together(c) is None]
        if len(fresh) == 2 and all(a is b for a, b in zip(*fresh, strict=True)):
            fresh = fresh[:1]  # x * x: one pack, twice
        new = [id(v) for values in (fresh if known else [*fresh, results]) for v in values]
        if len(set(new)) < len(new) or {id(v) for v in results} & {id(x) for c in columns for x in c}:
            return  # a value cannot lie in two places, nor be needed by the call that makes it
        for column in fresh:
            self.found(column)
        pack = known or self.found(results)
        operands = [c[0] if self._shared(c, results) else self.member[id(c[0])][0].flat for c in columns]
        merged = Call(calls[0].name, calls[0].function, tuple(operands), {}, pack.flat)
        for call in calls:
            self.joined[id(call)] = merged

    def _together(self, values: Sequence[Any]) -> Pack | None:
        """The pack that has these values as its members, in this order."""
        pack, _ = self.member.get(id(values[0]), (None, 0))
        same = pack is not None and [id(v) for v in pack.members] == [id(v) for v in values]
        return pack if same else None

    def _shared(self, column: Sequence[Any], results: Sequence[Value]) -> bool:
        """Whether an operand is the same number, or the same array without axes, for all."""
        first = column[0]
        if type(first) is Value:
            return all(x is first for x in column) and not first.shape
        return all(type(x) is type(first) and repr(x) == repr(first) for x in column)

    def _joinable(self, column: Sequence[Any], results: Sequence[Value]) -> bool:
        if self._shared(column, results):
            return True
        if any(type(x) is not Value or x.shape != r.shape for x, r in zip(column, results, strict=True)):
            return False
        return self._together(column) is not None or self.packable(column)

    def ordered(self) -> list[Call] | None:
        """The calls with the joined ones among them, each after what it needs; None if that cannot be."""
        nodes: list[Call] = []
        for call in self.calls:
            node = self.joined.get(id(call), call)
            if node is not call or id(call) not in self.joined:
                nodes.append(node)
        last = {id(node): i for i, node in enumerate(nodes)}  # a joined call stands where its last part stood
        makers = {id(v): self.joined.get(id(c), c) for c in self.calls for v in c.outputs()}
        flats = {id(p.flat): p for p in self.packs}
        needs: dict[int, set[int]] = {}
        for node in {id(n): n for n in nodes}.values():
            read = [m for v in node.inputs() for m in (flats[id(v)].members if id(v) in flats else (v,))]
            needs[id(node)] = {id(makers[id(v)]) for v in read if id(v) in makers} - {id(node)}
        return _sorted({id(n): n for n in nodes}, needs, last)


def _sorted(nodes: dict[int, Call], needs: dict[int, set[int]], rank: dict[int, int]) -> list[Call] | None:
    """Nodes after what they need, otherwise by rank."""
    followers: dict[int, list[int]] = defaultdict(list)
    for node, needed in needs.items():
        for other in needed:
            followers[other].append(node)
    left = {node: len(needed) for node, needed in needs.items()}
    ready = [(rank[node], node) for node, n in left.items() if not n]
    heapify(ready)
    done: list[Call] = []
    while ready:
        _, node = heappop(ready)
        done.append(nodes[node])
        for follower in followers[node]:
            left[follower] -= 1
            if not left[follower]:
                heappush(ready, (rank[follower], follower))
    return done if len(done) == len(nodes) else None
