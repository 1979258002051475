"""Plans of single functions: what is kept between two calls of the same signature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Protocol, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._numpy import NumpyPlan
from portnn.program import Program
from portnn.tracing import Value, values_in

__all__ = ["EagerPlan", "Plan", "ProgramPlan"]


class Plan(Protocol):
    """A function made ready for arguments of one signature."""

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        """Carry it out.

        Args:
            arrays: the arrays among the arguments.
            args: the arguments themselves.
        """

    def explain(self) -> str:
        """What the plan does, for people to read."""


@final
class EagerPlan:
    """No plan: the function itself.

    Args:
        f: the function of positional and keyword arguments, ``f(*args[0], **args[1])``.
        reason: why there is no plan.
    """

    def __init__(self, f: Callable[..., Tree], reason: str) -> None:
        self._f = f
        self._reason = reason

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        return self._f(*args[0], **args[1])

    def explain(self) -> str:
        """Why there is no plan."""
        return f"eager: {self._reason}"


@final
class ProgramPlan:
    """A program on NumPy, in memory laid out beforehand.

    Args:
        program: the program.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        outputs = list(dict.fromkeys(values_in(tree.leaves(program.result))))
        self._plan = NumpyPlan(program.calls, program.inputs, outputs)
        self._lock = Lock()  # two threads must not fill the same memory
        places = {value: i for i, value in enumerate(outputs)}
        seen: set[Value] = set()

        def slot(leaf: Any) -> Any:
            if type(leaf) is not Value:
                return _Constant(leaf)
            # What the caller gets is not what the caller or the plan holds, and nothing is handed out twice.
            base = self._plan.base(leaf)
            again = base in seen or self._plan.holds(leaf)
            seen.add(base)
            return _Slot(places[leaf], again)

        self._result = tree.map(slot, program.result)

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        with self._lock:
            found = self._plan.run(*arrays)
        return tree.map(lambda slot: slot.of(found), self._result)

    def explain(self) -> str:
        """The calls that are left, and the memory they share."""
        return f"NumPy plan of {self._program.name}: {self._plan.explain()}"


@final
class _Slot:
    __slots__ = ("_copied", "_position")

    def __init__(self, position: int, copied: bool) -> None:
        self._position = position
        self._copied = copied

    def of(self, found: Sequence[Array]) -> Array:
        """The array at this place of a result."""
        array = found[self._position]
        return array.copy() if self._copied else array


@final
class _Constant:
    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def of(self, found: Sequence[Array]) -> Any:
        """What stands at this place of a result and is no array."""
        return self._value
