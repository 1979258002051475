"""A tape: every call of the standard's functions that a piece of code makes, in the order it makes them.

A `Tape` is below all derivatives. The arrays that it hands out stand for plain arrays of a library: their
namespace carries each function out *and* writes it down, so what is on the tape is what eager execution
does, call by call. `portnn.program` makes programs of tapes and `portnn.compile` makes plans of programs.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias, final

import array_api_compat

from portnn._typing import Array, DType

__all__ = [
    "ATOMS", "Call", "ControlFlowError", "Tape", "Unit", "Value", "is_plain", "is_recording", "map_nested",
    "open_tapes", "refuse_other_tape", "values_in",
]  # fmt: skip

Execute: TypeAlias = Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

Nested: TypeAlias = Any
"""A value, a Python object, or a list, tuple or dict of such."""

open_tapes: list[Tape] = []
"""The tapes that are being written; primitives ask whether there are any, which costs next to nothing."""


def is_recording() -> bool:
    """Whether a program is being written down."""
    return bool(open_tapes)


ATOMS = frozenset({int, float, bool, str, type(None)})
"""What contains nothing, and is most often an argument."""


class ControlFlowError(TypeError):
    """Python asked for the value of an array while a program was being written down."""


def refuse_other_tape() -> None:
    """Raise a ControlFlowError for an array of another program: its present value would stay."""
    raise ControlFlowError(
        "an array of a program that is being written is used in another one, which would store its "
        "present value; call the function itself inside, not its program, or pass the array as an argument"
    )


@final
class Value:
    """An array of a program: what is known of it before the program runs.

    Attributes:
        shape: the length of each axis.
        dtype: the dtype object of the library with which the program was written.
        strides: bytes from element to element along each axis, where the library says.
        constant: the array itself, for a constant; None for what is given or computed.
        born: for a constant that was made while the tape was written, when; else 0.
    """

    __slots__ = ("born", "constant", "dtype", "shape", "strides")

    def __init__(self, array: Array, *, constant: bool = False, born: int = 0) -> None:
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: DType = array.dtype
        self.strides: tuple[int, ...] | None = getattr(array, "strides", None)
        self.constant: Array | None = array if constant else None
        self.born = born

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def __repr__(self) -> str:
        return f"Value({str(self.dtype).rpartition('.')[2]}{list(self.shape)})"


@final
class Call:
    """One call of a function of the standard.

    Attributes:
        name: its name in the standard, such as "add" or "linalg.inv"; "getitem" for ``x[...]``.
        function: the library's own function that was called.
        args: positional arguments, with a `Value` for each array.
        options: keyword arguments, likewise.
        result: a `Value`, or a tuple or list of them.
    """

    __slots__ = ("_inputs", "_outputs", "args", "function", "name", "options", "result")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Nested, ...],
        options: dict[str, Nested],
        result: Nested,
    ) -> None:
        self.name = name
        self.function = function
        self.args = args
        self.options = options
        self.result = result
        self._inputs: tuple[Value, ...] | None = None
        self._outputs: tuple[Value, ...] | None = None

    def inputs(self) -> tuple[Value, ...]:
        """The values that the call reads."""
        if self._inputs is None:  # planning asks again and again
            self._inputs = tuple(values_in((self.args, self.options)))
        return self._inputs

    def outputs(self) -> tuple[Value, ...]:
        """The values that it makes."""
        if self._outputs is None:
            self._outputs = tuple(values_in(self.result))
        return self._outputs

    def reading(self, args: tuple[Nested, ...], options: dict[str, Nested]) -> Call:
        """The same call with other arguments."""
        return Call(self.name, self.function, args, options, self.result)

    def __repr__(self) -> str:
        return f"Call({self.name})"


@final
class Unit:
    """One primitive that was carried out, and which calls of the tape it made.

    Attributes:
        name: its name.
        function: what was carried out.
        args: as for a `Call`.
        options: as for a `Call`.
        result: as for a `Call`.
        start: its first call on the tape.
        stop: the call after its last.
    """

    __slots__ = ("args", "function", "name", "options", "result", "start", "stop")

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Nested, ...],
        options: dict[str, Nested],
        result: Nested,
        start: int,
        stop: int,
    ) -> None:
        self.name = name
        self.function = function
        self.args = args
        self.options = options
        self.result = result
        self.start = start
        self.stop = stop


_plain: dict[type, bool] = {}


def is_plain(x: Any) -> bool:
    """Whether `x` is an array of a library; NumPy's scalar types, which answer like arrays, are none."""
    found = _plain.get(type(x))
    if found is None:
        found = not isinstance(x, type) and bool(array_api_compat.is_array_api_obj(x))
        _plain[type(x)] = found
    return found


def map_nested(f: Callable[[Any], Any], nested: Nested) -> Nested:
    """`nested` with `f` applied to everything in it that is no list, tuple, dict or slice."""
    kind = type(nested)
    if kind is tuple:
        return tuple([map_nested(f, x) if isinstance(x, _NESTS) else f(x) for x in nested])
    if kind is list:
        return [map_nested(f, x) if isinstance(x, _NESTS) else f(x) for x in nested]
    if kind is dict:
        return {key: map_nested(f, x) for key, x in nested.items()} if nested else {}
    if isinstance(nested, tuple) and hasattr(nested, "_fields"):
        return kind(*[map_nested(f, item) for item in nested])
    return f(nested)


_NESTS = (tuple, list, dict)
_NO_TAPE = object()


def values_in(nested: Nested) -> list[Value]:
    """Every `Value` in `nested`, from left to right."""
    found: list[Value] = []
    _collect(nested, found)
    return found


def _collect(nested: Nested, found: list[Value]) -> None:
    """Add every `Value` in `nested`."""
    kind = type(nested)
    if kind is Value:
        found.append(nested)
    elif isinstance(nested, tuple) or kind is list or kind is dict:
        for item in nested.values() if kind is dict else nested:
            if type(item) is Value:
                found.append(item)
            elif type(item) not in ATOMS:
                _collect(item, found)


@final
class Tape:
    """What a piece of code did, written down while it was done.

    Use as a context manager around the code: ``with Tape() as tape``.

    Args:
        execute: executes the calls that are recorded, ``execute(name, function, args, options)``; by
            default it calls the function.
        units: whether primitives are recorded too, beside the calls that they make.

    Attributes:
        calls: the calls so far.
        units: the primitives among them that were called first-hand.
        nested: whether a primitive is being executed, whose calls are not recorded.
        execute: as given.
    """

    __slots__ = ("_constants", "calls", "execute", "nested", "units", "with_units")

    def __init__(self, execute: Execute | None = None, *, units: bool = True) -> None:
        self.execute = execute
        self.with_units = units
        self.calls: list[Call] = []
        self.units: list[Unit] = []
        self.nested = False
        self._constants: dict[int, Value] = {}

    def __enter__(self) -> Tape:
        open_tapes.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        open_tapes.remove(self)

    def constant(self, array: Array, born: int = 0) -> Value:
        """The value that stands for a plain array; the same for the same array."""
        found = self._constants.get(id(array))
        if found is None:
            # The value keeps the array alive, so that its id is not given to another.
            found = self._constants[id(array)] = Value(array, constant=True, born=born)
        return found

    def describe(self, nested: Nested) -> Nested:
        """`nested` with a `Value` for each array, of this tape or plain."""
        return map_nested(self._value, nested)

    def _value(self, item: Any) -> Any:
        """The `Value` of an array; anything else unchanged."""
        if type(item) in ATOMS:
            return item
        tape = getattr(item, "tape", _NO_TAPE)
        if tape is self:
            return item.symbol
        if tape is _NO_TAPE:
            return self.constant(item) if is_plain(item) else item
        if tape is not None:
            refuse_other_tape()
        return self.constant(item.value, item.born)
