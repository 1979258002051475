"""A program at the level of primitives: what is printed, carried out anywhere and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from portnn import tree
from portnn._typing import Namespace, Tree
from portnn.tracing import Call, Unit, Value, values_in

__all__ = ["Line", "Listing", "dtype_name", "lines_of"]


@final
class Line:
    """One line of a program: a primitive, or a call of the standard that no primitive made.

    Attributes:
        name: what is carried out.
        function: the function itself.
        args: positional arguments, with a `Value` for each array.
        options: keyword arguments, likewise.
        result: a `Value`, or a tuple or list of them.
        calls: the calls of the standard's functions that it made when it was written down.
        is_primitive: whether `function` finds the library in its arguments; else it is a library's own.
    """

    __slots__ = ("args", "calls", "function", "is_primitive", "name", "options", "result")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        result: Any,
        *,
        calls: Sequence[Call],
        is_primitive: bool,
    ) -> None:
        self.name = name
        self.function = function
        self.args = args
        self.options = options
        self.result = result
        self.calls = tuple(calls)
        self.is_primitive = is_primitive

    def inputs(self) -> tuple[Value, ...]:
        """The values that the line reads."""
        return tuple(values_in((self.args, self.options)))

    def outputs(self) -> tuple[Value, ...]:
        """The values that it makes."""
        return tuple(values_in(self.result))

    def reading(self, args: tuple[Any, ...], options: dict[str, Any]) -> Line:
        """The same line with other arguments."""
        return Line(
            self.name,
            self.function,
            args,
            options,
            self.result,
            calls=self.calls,
            is_primitive=self.is_primitive,
        )

    def __repr__(self) -> str:
        return f"Line({self.name})"


@final
@dataclass(frozen=True, eq=False)
class Listing:
    """The lines of a program, from its arguments to its result.

    Attributes:
        name: the name of the function.
        namespace: the library with which it was written.
        labels: a name for each input, such as ``params.0.weight``.
        arguments: the arguments, with a `Value` for each array.
        inputs: these values, from left to right.
        lines: the lines, in order.
        result: what the function returns, with a `Value` for each array.
    """

    name: str
    namespace: Namespace
    labels: tuple[str, ...]
    arguments: Tree
    inputs: tuple[Value, ...]
    lines: tuple[Line, ...]
    result: Tree

    def results(self) -> list[Value]:
        """The values in the result, from left to right."""
        return values_in(tree.leaves(self.result))

    def constants(self) -> list[Value]:
        """The constants that the lines read or the result holds, in the order in which they are met."""
        found: dict[int, Value] = {}
        for value in [v for line in self.lines for v in line.inputs()] + self.results():
            if value.constant is not None:
                found.setdefault(id(value), value)
        return list(found.values())


def lines_of(calls: Sequence[Call], units: Sequence[Unit]) -> list[Line]:
    """A line for each primitive and for each call that belongs to none."""
    lines: list[Line] = []
    at = 0
    for unit in units:
        lines += [_alone(call) for call in calls[at : unit.start]]
        name = unit.name.lstrip("_")
        made = calls[unit.start : unit.stop]
        lines.append(
            Line(name, unit.function, unit.args, unit.options, unit.result, calls=made, is_primitive=True)
        )
        at = unit.stop
    return lines + [_alone(call) for call in calls[at:]]


def _alone(call: Call) -> Line:
    return Line(
        call.name, call.function, call.args, call.options, call.result, calls=(call,), is_primitive=False
    )


def dtype_name(dtype: Any) -> str:
    """The name in the standard of an array's dtype."""
    return str(dtype).rpartition(".")[2]
