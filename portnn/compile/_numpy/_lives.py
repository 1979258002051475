"""How long each value of a plan is needed, and what shares memory with what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import final

from portnn.compile._numpy._kinds import is_view, may_alias
from portnn.compile._numpy._packs import Pack
from portnn.tracing import Call, Value

__all__ = ["Lives"]


@final
class Lives:
    """From which call to which each value is needed; a view lives in what it is a view of.

    Args:
        calls: the calls of a plan, in order.
        packs: the pack of each value that lies in one.
        wanted: values that are needed after the last call.
    """

    def __init__(self, calls: Sequence[Call], packs: Mapping[Value, Pack], wanted: Iterable[Value]) -> None:
        self._calls = calls
        self._packs = packs
        self._roots: dict[Value, Value] = {}
        self._makers: dict[Value, int] = {}
        self._ends: dict[Value, int] = {}
        self._taken: set[Value] = set()
        last_use: dict[Value, int] = {}
        for i, call in enumerate(calls):
            for value in call.outputs():
                self._makers[value] = i
                if is_view(call):
                    self._roots[value] = self.root(call.args[0])
            for value in [*call.inputs(), *call.outputs()]:
                last_use[value] = i
        last_use.update(dict.fromkeys(wanted, len(calls)))
        self._dying = _by_position(last_use)
        self._lengthen(last_use)
        self._ending = _by_position(self._ends)

    def _lengthen(self, last_use: Mapping[Value, int]) -> None:
        """The life of what a value may share memory with lasts as long as the value's."""
        for value, i in last_use.items():
            root = self.root(value)
            self._ends[root] = max(self._ends.get(root, -1), i)
        for call in reversed(self._calls):
            if may_alias(call) and not is_view(call):
                end = max(self._ends[self.root(v)] for v in call.outputs())
                for value in call.inputs():
                    self._ends[self.root(value)] = max(self._ends[self.root(value)], end)

    def root(self, value: Value) -> Value:
        """What a value is a view of; itself if of nothing."""
        pack = self._packs.get(value)
        return pack.flat if pack is not None else self._roots.get(value, value)

    def maker(self, value: Value) -> int | None:
        """The position of the call that makes a value."""
        return self._makers.get(value)

    def end(self, value: Value) -> int:
        """The position of the last call that needs a value or a view of it; -1 if none does."""
        return self._ends.get(self.root(value), -1)

    def ending(self, i: int) -> list[Value]:
        """The roots whose memory is free after call `i`."""
        return self._ending[i]

    def dying(self, i: int) -> list[Value]:
        """The values that no call after `i` uses by name."""
        return self._dying[i]

    def reads_whole(self, call: Call, value: Value) -> bool:
        """Whether a call reads a root as it is, and no view of it."""
        return all(x is value or self.root(x) is not value for x in call.inputs())

    def take_over(self, root: Value) -> None:
        """Note that the place of a root went to another value."""
        self._taken.add(root)

    def taken_over(self, root: Value) -> bool:
        """Whether it did."""
        return root in self._taken

    def reaching(self, outputs: Iterable[Value]) -> set[Value]:
        """The roots that outputs are views of, or may be."""
        found = {self.root(v) for v in outputs}
        for call in reversed(self._calls):
            if may_alias(call) and any(self.root(v) in found for v in call.outputs()):
                found |= {self.root(v) for v in call.inputs()}
        return found


def _by_position(last: Mapping[Value, int]) -> dict[int, list[Value]]:
    found: dict[int, list[Value]] = defaultdict(list)
    for value, i in last.items():
        found[i].append(value)
    return found
