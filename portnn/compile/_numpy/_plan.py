"""A plan for NumPy: memory laid out beforehand, and calls that only fill it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, final

import numpy as np

from portnn._typing import Array
from portnn.compile._numpy._blocks import blocked, run_of_long_calls
from portnn.compile._numpy._kinds import is_exact, is_view, picks, ufunc_of, view_of
from portnn.compile._numpy._lives import Lives
from portnn.compile._numpy._memory import Arena, array_at
from portnn.compile._numpy._packs import Pack
from portnn.compile._numpy._ranges import Range, surely_within
from portnn.compile._numpy._steps import Steps
from portnn.compile._numpy._team import Team
from portnn.compile._numpy._unfolded import with_unfolded_products
from portnn.compile._numpy._writers import writer_of
from portnn.tracing import Call, Value

__all__ = ["NumpyPlan"]

_CALL = 4096  # bytes that the objects of a call take: itself, its values, its arrays, its step


@final
class NumpyPlan:
    """The calls of a program, bound to memory.

    Args:
        calls: the calls, in order.
        inputs: the values that are given anew in each run.
        outputs: the values that each run returns. They are arrays of their own unless `kept`.
        owned: arrays that belong to the plan, for inputs that are not given anew.
        carried: for owned inputs the values that take their places at the end of a run.
        packs: values that lie end to end.
        trusted: values whose elements are known to be positions that exist.
        ranges: the smallest and the largest number of some integer inputs.
        forms: functions that write some products, by the results.
        team: the threads that long calls are shared by.
        kept: whether outputs stay in the plan's memory, where the next run overwrites them.

    Attributes:
        run: the function of the arrays for `inputs` that returns a tuple of those for `outputs`.
        memory: the block that holds all intermediate results.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        *,
        owned: Mapping[Value, Array] | None = None,
        carried: Mapping[Value, Value] | None = None,
        packs: Sequence[Pack] = (),
        trusted: Collection[Value] = (),
        ranges: Mapping[Value, Range] | None = None,
        forms: Mapping[Value, Callable[..., Any]] | None = None,
        team: Team | None = None,
        kept: bool = False,
    ) -> None:
        self._team = team or Team(1)
        calls = with_unfolded_products(calls, {*outputs, *(carried or {}).values()}, self._team)
        self.calls: Sequence[Call] = calls
        self._steps = Steps(surely_within(calls, trusted, ranges or {}), forms)
        self._inputs = set(inputs)
        self._owned = dict(owned or {})
        self._carried = dict(carried or {})
        self._packs = {member: pack for pack in packs for member in pack.members}
        self._flats = {pack.flat: pack for pack in packs}
        self._static: dict[Value, Any] = {}
        self._lives = Lives(calls, self._packs, {*outputs, *self._carried.values()})
        self._fresh = set() if kept else self._lives.reaching(outputs)
        self._given = [self._steps.slot(v) for v in inputs]
        for value, array in self._owned.items():
            self._put(value, array)
        self.memory = self._lay_out()
        self._write_all()
        self._hand_over()
        self._results = [self._steps.at(v) for v in outputs]
        self.run = self._steps.function(self._given, self._results)

    def explain(self) -> str:
        """What the plan does, for people to read."""
        size = f"{len(self.calls)} calls, {self.memory.size:,} bytes for intermediate results"
        return f"{size}\n{self._steps.listing(self._given, self._results)}"

    def nbytes(self) -> int:
        """About how many bytes the plan holds: its memory, and a few kilobytes for each call."""
        return self.memory.nbytes + _CALL * len(self.calls)

    def holds(self, value: Value) -> bool:
        """Whether a value lies in memory that stays with the plan, or is a view of what it was given."""
        return value in self._static or value.constant is not None or self.base(value) in self._inputs

    def base(self, value: Value) -> Value:
        """What a value is a view of; itself if of nothing."""
        return self._lives.root(value)

    def _put(self, value: Value, array: Any) -> None:
        """Let a value lie in an array, and the members of a pack in its parts."""
        self._static[value] = array
        self._steps.place(value, array)
        pack = self._flats.get(value)
        if pack is not None:
            for member, part in zip(pack.members, pack.views(array), strict=True):
                self._put(member, part)

    def _lay_out(self) -> Any:
        """Decide where each result lies, then make the memory."""
        arena, places = Arena(), dict[Value, int]()
        homes = self._homes()
        for i, call in enumerate(self.calls):
            if writer_of(call) is not None:
                root = self._lives.root(call.result)
                elsewhere = root in places or root in homes or root in self._owned or root in self._fresh
                if not elsewhere and (root is call.result or root in self._flats):
                    reused = self._reused(call, i, root, places)
                    places[root] = arena.take(_nbytes(root)) if reused is None else reused
            for root in self._lives.ending(i):
                if root in places and not self._lives.taken_over(root):
                    arena.give(places[root], _nbytes(root))
        memory = arena.allocate()
        for root, offset in places.items():
            self._put(root, array_at(memory, offset, root))
        for root, home in homes.items():
            self._put(root, self._static[home])
        return memory

    def _reused(self, call: Call, i: int, root: Value, places: Mapping[Value, int]) -> int | None:
        """The place of an argument that is not needed any more, which the result may overwrite."""
        if not is_exact(call) or ufunc_of(call) is None or call.result is not root:
            return None
        for x in call.inputs():
            free = x in places and self._lives.end(x) == i and not self._lives.taken_over(x)
            if free and _alike(x, root) and self._lives.reads_whole(call, x):
                self._lives.take_over(x)
                return places[x]
        return None

    def _homes(self) -> dict[Value, Value]:
        """Results that may be written straight over the owned input whose place they take."""
        homes: dict[Value, Value] = {}
        for before, after in self._carried.items():
            at = self._lives.maker(after)
            if at is None or after in homes or after in self._packs or not _alike(before, after):
                continue
            call = self.calls[at]
            if self._lives.root(after) is not after or writer_of(call) is None:
                continue
            in_place = is_exact(call) and ufunc_of(call) is not None and self._lives.reads_whole(call, before)
            last = self._lives.end(before)
            if last < at or (last == at and in_place):
                homes[after] = before
        return homes

    def _write_all(self) -> None:
        """A step for each call, or for several that go over the same long arrays."""
        i = 0
        while i < len(self.calls):
            stop = run_of_long_calls(self.calls, i, self._static)
            if stop - i > 1 or (stop > i and self._team.size > 1):
                self._steps.add(blocked(self.calls[i:stop], self._array_of, self._steps.number, self._team))
                self._steps.note(", ".join(call.name for call in self.calls[i:stop]) + " block by block")
            else:
                stop = i + 1
                self._write(self.calls[i])
            for done in range(i, stop):
                self._forget(done)
            i = stop

    def _array_of(self, value: Value) -> Any:
        return self._static[value] if value.constant is None else value.constant

    def _write(self, call: Call) -> None:
        """The steps of a call; none for a view of memory that is there already."""
        if is_view(call):
            x = call.args[0]
            array = self._static.get(x, x.constant)
            if array is not None:
                self._put(call.result, view_of(call, array))
                return
        write = writer_of(call)
        if write is not None and call.result in self._static:
            write(self._steps, call, self._static[call.result])
        else:
            self._write_as_it_is(call)
        made = ", ".join([f"{_dtype_name(value.dtype)}{[*value.shape]}" for value in call.outputs()])
        self._steps.note(f"{call.name} {made}")

    def _write_as_it_is(self, call: Call) -> None:
        """The call that eager execution makes, for which NumPy finds the memory."""
        steps, result = self._steps, call.result
        # Operators do with NumPy's scalars what they do in eager execution, and that is not always the same.
        scalars = getattr(call.function, "__module__", "") == "_operator"
        args = [steps.nested(x, scalars=scalars and not self._is_array(x)) for x in call.args]
        options = {name: steps.nested(x) for name, x in call.options.items()}
        if type(result) is Value:
            steps.add(call.function, *args, options=options, into=steps.slot(result))
        else:
            slots = tuple([steps.slot(v) if type(v) is Value else None for v in result])
            steps.add(call.function, *args, options=options, into=slots)

    def _is_array(self, x: Any) -> bool:
        """Whether an argument is an array without axes in eager execution too: one that came, or a view."""
        if type(x) is not Value or x in self._inputs:
            return type(x) is Value
        maker = self._lives.maker(x)
        return maker is not None and is_view(self.calls[maker]) and not picks(self.calls[maker])

    def _forget(self, i: int) -> None:
        """Let go of arrays that were made on the way and are not needed any more."""
        for value in self._lives.dying(i):
            if value not in self._static and value.constant is None and value not in self._inputs:
                self._steps.drop(self._steps.at(value))

    def _hand_over(self) -> None:
        """Bring to its place what was not made there."""
        steps = self._steps
        pending = [
            (self._static[before], steps.at(after))
            for before, after in self._carried.items()
            if after is not before and self._static.get(after) is not self._static[before]
        ]
        if len(pending) > 1:  # one may be made of the memory of another: all are read before any is written
            pending = [(home, steps.made(np.copy, array)) for home, array in pending]
        for home, array in pending:
            steps.add(np.copyto, home, array)


_dtype_name = cache(str)  # which takes NumPy a microsecond


def _nbytes(value: Value) -> int:
    return value.size * int(value.dtype.itemsize)


def _alike(x: Value, y: Value) -> bool:
    """Whether one may lie where the other lay."""
    return x.shape == y.shape and x.dtype == y.dtype and x.strides == y.strides
