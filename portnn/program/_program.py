"""A program: what a function did, as a list of calls that can be read, counted, carried out and planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from portnn._typing import Namespace, Tree
from portnn.tracing import Call, Unit, Value

__all__ = ["Program"]


@final
@dataclass(frozen=True, eq=False)
class Program:
    """A function that was written down: made by `portnn.trace`.

    Attributes:
        name: the name of the function.
        namespace: the library with which it was written.
        inputs: for each array among the arguments a value, from left to right.
        names: where each of them stands in the arguments, such as ``0.weight``.
        result: what the function returns, with a `Value` for each array.
        calls: the calls of the standard's functions, in order.
        units: the primitives that these calls belong to.
    """

    name: str
    namespace: Namespace
    inputs: tuple[Value, ...]
    names: tuple[str, ...]
    result: Tree
    calls: tuple[Call, ...]
    units: tuple[Unit, ...]

    def __repr__(self) -> str:
        return f"<Program {self.name}: {len(self.calls)} calls>"
