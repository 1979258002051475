"""The steps of a plan: functions of the library, bound to the arrays that they read and write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import getitem, itemgetter
from typing import Any, TypeAlias, final

import numpy as np

from portnn.compile._numpy._listing import Listing
from portnn.compile._numpy._slots import Slot, filled, has_slot
from portnn.tracing import Call, Value

__all__ = ["Steps", "Writer"]

Step: TypeAlias = Callable[[], object]


@dataclass(slots=True)
class _Line:
    """A call of a plan; what is a slot among its arguments is looked up in each run."""

    function: Callable[..., Any]
    args: Sequence[Any]
    options: Mapping[str, Any]
    into: Slot | tuple[Slot | None, ...] | None
    note: str = ""


@final
class Steps:
    """Calls in the order in which they are carried out.

    Nearly all of them read and write arrays that are there before the plan runs: such a call is bound to
    its arrays once. Arrays that a run is given or makes have slots.

    Args:
        trusted: results of `take` whose positions are known to exist.
        forms: functions that write some products, by the results.
    """

    def __init__(
        self, trusted: Collection[Value] = (), forms: Mapping[Value, Callable[..., Any]] | None = None
    ) -> None:
        self.trusted = trusted
        self.forms = dict(forms or {})
        self._lines: list[_Line] = []
        self._slots: list[Any] = []
        self._kept: dict[int, int] = {}
        self._values: dict[Value, Any] = {}

    def place(self, value: Value, array: Any) -> None:
        """Let a value stand for an array that is there before the plan runs."""
        self._values[value] = array

    def slot(self, value: Value | None = None) -> Slot:
        """A slot, for a value that a run is given or makes."""
        slot = Slot(len(self._slots))
        self._slots.append(None)
        if value is not None:
            self._values[value] = slot
        return slot

    def at(self, value: Value) -> Any:
        """The array of a value, or its slot."""
        if value.constant is not None:
            return self._values.get(value, value.constant)
        return self._values[value]

    def operand(self, x: Any, partner: Value | None = None) -> Any:
        """An argument: of a value its array or slot, of a number an array of its partner's dtype."""
        return self.at(x) if type(x) is Value else _number(x, partner)

    def number(self, x: Any, call: Call) -> Any:
        """A Python number among the arguments of a call, as an array of the dtype that it adopts there."""
        return _number(x, next((a for a in call.args if type(a) is Value), None))

    def seen_as(self, array: Any, dtype: Any) -> Any:
        """An array or a slot as elements of another dtype of the same size."""
        return self.made(_view, array, dtype) if type(array) is Slot else array.view(dtype)

    def nested(self, x: Any, *, scalars: bool = False) -> Any:
        """An argument that may be a list or tuple with values in it.

        Args:
            x: the argument.
            scalars: whether arrays without axes are handed over as NumPy's scalars.
        """
        if type(x) is Value:
            array = self.at(x)
            return self.made(getitem, array, ()) if scalars and not x.shape else array
        if isinstance(x, tuple | list) and _has_value(x):
            return type(x)([self.nested(item, scalars=scalars) for item in x])
        return x

    def add(
        self,
        function: Callable[..., Any],
        *args: Any,
        options: Mapping[str, Any] | None = None,
        into: Slot | tuple[Slot | None, ...] | None = None,
    ) -> None:
        """One call more.

        Args:
            function: what is called.
            args: its positional arguments: arrays, slots, lists and tuples of them, anything else as it is.
            options: its other arguments.
            into: the slot for its result, or one for each of its results; None for what nothing needs.
        """
        self._lines.append(_Line(function, args, options or {}, into))

    def made(self, function: Callable[..., Any], *args: Any) -> Slot:
        """One call more, and the slot of its result."""
        slot = self.slot()
        self.add(function, *args, into=slot)
        return slot

    def drop(self, slot: Slot) -> None:
        """Let go of what is in a slot."""
        self.add(_nothing, into=slot)

    def note(self, text: str) -> None:
        """Say of the last call what it does."""
        self._lines[-1].note = text

    def function(self, inputs: Sequence[Slot], outputs: Sequence[Any]) -> Callable[..., tuple[Any, ...]]:
        """The finished plan: a function of the arrays for `inputs`, which are the first slots."""
        steps = [self._bound(line) for line in self._lines]
        n = len(inputs)
        results = self._reader(outputs)
        slots, empty = self._slots, [*self._slots]

        def run(*arrays: Any) -> tuple[Any, ...]:
            slots[:n] = arrays
            try:
                for step in steps:
                    step()
                return tuple(results(slots))
            finally:
                slots[:] = empty

        return run

    def listing(self, inputs: Sequence[Slot], outputs: Sequence[Any]) -> str:
        """The calls, for people to read."""
        listing = Listing(inputs)
        for line in self._lines:
            listing.add(line.function, line.args, line.options, line.into, line.note)
        return listing.text(outputs)

    def _bound(self, line: _Line) -> Step:
        call = self._call(line)
        into, slots = line.into, self._slots
        if into is None:
            return call
        if type(into) is Slot:
            return partial(_put, slots, into.position, call)
        positions = [None if slot is None else slot.position for slot in into]
        return partial(_put_each, slots, positions, call)

    def _call(self, line: _Line) -> Callable[[], Any]:
        """The call alone, with the least that it takes to find its arguments."""
        function, args, options, slots = line.function, line.args, line.options, self._slots
        if any(has_slot(x) and type(x) is not Slot for x in args) or any(map(has_slot, options.values())):
            return lambda: function(*filled(args, slots), **{k: filled(x, slots) for k, x in options.items()})
        if not any(type(x) is Slot for x in args):
            return partial(function, *args, **options)
        if len(args) == 3 and not options:  # most calls: two operands and a place for the result
            x, y, z = self._positions(args)
            return lambda: function(slots[x], slots[y], slots[z])
        read = self._reader(args)
        return lambda: function(*read(slots), **options)

    def _positions(self, things: Sequence[Any]) -> list[int]:
        """Where things are among the slots."""
        return [x.position if type(x) is Slot else self._keep(x) for x in things]

    def _reader(self, things: Sequence[Any]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """A function of all slots that gives things, each slot among them by what is in it."""
        positions = self._positions(things)
        if len(positions) > 1:
            return itemgetter(*positions)
        first = sum(positions)  # of one position or none: by itself it would give no tuple
        return itemgetter(slice(first, first + len(positions)))

    def _keep(self, thing: Any) -> int:
        """The position of a slot in which a thing stays."""
        position = self._kept.get(id(thing))
        if position is None:
            position = self._kept[id(thing)] = len(self._slots)
            self._slots.append(thing)
        return position


Writer: TypeAlias = Callable[[Steps, Call, Any], None]
"""Adds the steps of a call; what it is given last is the array for the result."""


def _nothing() -> None:
    return None


def _view(x: Any, dtype: Any) -> Any:
    return x.view(dtype)  # NumPy's scalars too have this


def _put(slots: list[Any], position: int, call: Callable[[], Any]) -> None:
    slots[position] = call()


def _put_each(slots: list[Any], positions: Sequence[int | None], call: Callable[[], Any]) -> None:
    for position, result in zip(positions, call(), strict=True):
        if position is not None:
            slots[position] = result


def _has_value(x: Any) -> bool:
    return type(x) is Value or (isinstance(x, tuple | list) and any(_has_value(item) for item in x))


def _number(x: Any, partner: Value | None) -> Any:
    """A Python number in the dtype that it adopts beside an array; anything else as it is.

    NumPy would convert it in every call. Only conversions that do what NumPy does are done here.
    """
    if partner is None or type(x) not in (int, float):
        return x
    dtype = np.dtype(partner.dtype)
    if type(x) is int and dtype.kind in "iu":
        info: Any = np.iinfo(dtype)
        exact = info.min <= x <= info.max
    else:
        exact = dtype.kind == "f" and (type(x) is float or abs(x) < 2**53)
    if not exact:
        return x
    with np.errstate(over="ignore"):
        array = np.asarray(x, dtype=dtype)
    array.flags.writeable = False
    return array
