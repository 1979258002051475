"""The source text of a plan: a Python function with nothing in it but calls on known arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, final

import numpy as np

from portnn.tracing import Call, Value

__all__ = ["Source", "Writer"]


@final
class Source:
    """Lines of Python, and the objects that their names stand for.

    Every name is made here, and every object that a line uses is bound to one: the text has nothing in it
    that a user wrote.

    Args:
        trusted: values whose elements are known to be positions that exist.
        forms: functions that write some products, by the results.
    """

    def __init__(
        self, trusted: Collection[Value] = (), forms: Mapping[Value, Callable[..., Any]] | None = None
    ) -> None:
        self.trusted = trusted
        self.forms = dict(forms or {})
        self.lines: list[str] = []
        self._objects: dict[str, Any] = {}
        self._names: dict[tuple[str, int], str] = {}
        self._values: dict[int, str] = {}

    def bind(self, thing: Any, prefix: str) -> str:
        """A name for an object; None and booleans are written as they are."""
        if thing is None or thing is True or thing is False:
            return str(thing)
        name = self._names.get((prefix, id(thing)))
        if name is None:
            name = self._names[prefix, id(thing)] = f"{prefix}{len(self._objects)}"
            self._objects[name] = thing  # kept, so that its id is not given to another
        return name

    def place(self, value: Value, array: Any) -> str:
        """Let a value stand for an array that is there before the plan runs."""
        name = self._values[id(value)] = self.bind(array, "a")
        return name

    def local(self, value: Value) -> str:
        """Let a value stand for a variable that the plan sets."""
        name = self._values[id(value)] = f"v{len(self._values)}"
        return name

    def name(self, value: Value) -> str:
        """The name of a value; a constant gets one here."""
        found = self._values.get(id(value))
        if found is None:
            assert value.constant is not None, "a value is used before it is made"
            found = self.place(value, value.constant)
        return found

    def operand(self, x: Any, partner: Value | None = None) -> str:
        """An argument of a call: a value by its name, a Python number as an array of its partner's dtype."""
        if type(x) is Value:
            return self.name(x)
        return self.bind(_number(x, partner), "k")

    def number(self, x: Any, call: Call) -> Any:
        """A Python number among the arguments of a call, as an array of the dtype that it adopts there."""
        return _number(x, next((a for a in call.args if type(a) is Value), None))

    def seen_as(self, name: str, dtype: Any) -> str:
        """The array of this name as elements of another dtype of the same size."""
        array = self._objects.get(name)
        if array is None:
            return f"{name}.view({self.bind(dtype, 'k')})"
        return self.bind(array.view(dtype), "a")

    def nested(self, x: Any, *, scalars: bool = False) -> str:
        """An argument that may be a list or tuple with values in it.

        Args:
            x: the argument.
            scalars: whether arrays without axes are handed over as NumPy's scalars.
        """
        if type(x) is Value:
            name = self.name(x)
            return f"{name}[()]" if scalars and not x.shape else name
        if isinstance(x, tuple | list) and _has_value(x):
            parts = "".join(f"{self.nested(item, scalars=scalars)}, " for item in x)
            return f"({parts})" if isinstance(x, tuple) else f"[{parts}]"
        return self.bind(x, "k")

    def add(self, line: str) -> None:
        """One line more."""
        self.lines.append(line)

    def note(self, text: str) -> None:
        """Say at the end of the last line what it does."""
        self.lines[-1] += f"  # {text}"

    def function(self, inputs: list[str], outputs: list[str]) -> tuple[Callable[..., Any], str]:
        """The finished function of the arrays named `inputs`, and its text."""
        body = [*self.lines, f"return ({''.join(f'{name}, ' for name in outputs)})"]
        text = "\n    ".join([f"def plan({', '.join(inputs)}):", *body]) + "\n"
        names = dict(self._objects)
        # `dataclasses` makes its functions in the same way.
        exec(compile(text, "<portnn plan>", "exec"), names)  # noqa: S102  # nothing in it that a user wrote
        return names["plan"], text


Writer: TypeAlias = Callable[[Source, Call, str], None]
"""Adds the lines of a call to a source; the name is that of the array for the result."""


def _has_value(x: Any) -> bool:
    return type(x) is Value or (isinstance(x, tuple | list) and any(_has_value(item) for item in x))


def _number(x: Any, partner: Value | None) -> Any:
    """A Python number in the dtype that it adopts beside an array; anything else as it is.

    NumPy would convert it in every call. Only conversions that do what NumPy does are done here.
    """
    if partner is None or type(x) not in (int, float):
        return x
    dtype = np.dtype(partner.dtype)
    if dtype.kind == "f" and (type(x) is float or abs(x) < 2**53):
        with np.errstate(over="ignore"):
            return np.asarray(x, dtype=dtype)
    if dtype.kind in "iu" and type(x) is int:
        info: Any = np.iinfo(dtype)
        return np.asarray(x, dtype=dtype) if info.min <= x <= info.max else x
    return x
