"""A plan as text, for people to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, final

import numpy as np

from portnn.compile._numpy._slots import Slot

__all__ = ["Listing"]


@final
class Listing:
    """Calls as lines; arrays that stay in their places are a0, a1, a2, the others v0, v1, v2.

    Args:
        inputs: the slots of what the plan is given.
    """

    def __init__(self, inputs: Sequence[Slot]) -> None:
        self._names: dict[int, str] = {}
        self._lines = [f"plan({', '.join(map(self._name, inputs))}):"]

    def add(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        options: Mapping[str, Any],
        into: Slot | Sequence[Slot | None] | None,
        note: str,
    ) -> None:
        """The line of a call."""
        words = [*map(self._name, args), *(f"{key}={self._name(x)}" for key, x in options.items())]
        line = f"{_called(function)}({', '.join(words)})"
        if into is not None:
            targets = [into] if type(into) is Slot else into
            line = f"{', '.join(['_' if t is None else self._name(t) for t in targets])} = {line}"
        self._lines.append(f"{line}  # {note}" if note else line)

    def text(self, outputs: Sequence[Any]) -> str:
        """All lines, and what the plan returns."""
        last = f"return {', '.join(map(self._name, outputs))}"
        return "\n    ".join([*self._lines, last]) + "\n"

    def _name(self, thing: Any) -> str:
        """An argument as it is written; arrays by names."""
        if type(thing) is Slot:
            return f"v{thing.position}"
        if isinstance(thing, tuple | list):
            inner = ", ".join(map(self._name, thing))
            return f"[{inner}]" if isinstance(thing, list) else f"({inner}{',' * (len(thing) == 1)})"
        if isinstance(thing, np.ndarray) and (thing.shape or thing.flags.writeable):
            return self._names.setdefault(id(thing), f"a{len(self._names)}")
        return str(thing)


def _called(function: Any) -> str:
    """The name of a function; that of a ufunc before its method's."""
    if isinstance(function, partial):
        return _called(function.func)
    name = getattr(function, "__name__", type(function).__name__).strip("_")
    owner = getattr(function, "__self__", None)
    return f"{owner.__name__}.{name}" if isinstance(owner, np.ufunc) else name
