"""A listing on a library and a device: constants moved there, dtypes and functions translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import array_api_compat

from portnn import tree
from portnn._typing import Array, Device, DType, Namespace, Tree
from portnn.program._line import Line, Listing
from portnn.program._text import Names
from portnn.tracing import Value, map_nested

__all__ = ["Machine"]

_DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16",
    "float32", "float64", "complex64", "complex128",
)  # fmt: skip


@final
class Machine:
    """Carries out the lines of a listing on one library and device.

    Args:
        listing: the program.
        xp: the library.
        device: one of its devices; where the program names a device, this one is taken.
        move: brings a constant there.
        dtypes: other dtypes for those that the program names, by name; empty for none.
    """

    def __init__(
        self,
        listing: Listing,
        xp: Namespace,
        device: Device,
        move: Callable[[Array], Array],
        dtypes: Mapping[str, str] | None = None,
    ) -> None:
        self._listing = listing
        self._xp = xp
        self._device = device
        self._home = xp is listing.namespace
        self._dtypes = _translation(listing.namespace, xp, dtypes or {})
        self.constants = {id(value): self._placed(value.constant, move) for value in listing.constants()}
        self.steps = [self._translated(line) for line in listing.lines]
        self.last_uses = _last_uses(listing)

    def _placed(self, constant: Array, move: Callable[[Array], Array]) -> Array:
        """A constant on this device: the very same object where it is there already."""
        there = self._home and not self._dtypes and array_api_compat.device(constant) == self._device
        return constant if there else move(constant)

    def run(self, arrays: list[Array]) -> Tree:
        """The result of the program for these inputs."""
        known = {id(value): x for value, x in zip(self._listing.inputs, arrays, strict=True)}
        for i, over in enumerate(self.last_uses):
            self.carry_out(i, known)
            for key in over:
                known.pop(key, None)

        def leave(item: Any) -> Any:
            if type(item) is not Value:
                return item
            if item.constant is None:
                return known[id(item)]
            # What the caller does with the result must not change the program.
            return self._xp.asarray(self.constants[id(item)], copy=True)

        return tree.map(lambda leaf: map_nested(leave, leaf), self._listing.result)

    def carry_out(self, i: int, known: dict[int, Array]) -> None:
        """Line `i` with the arrays known so far, to which its results are added."""
        function, args, options = self.steps[i]

        def find(item: Any) -> Any:
            if type(item) is not Value:
                return item
            return known[id(item)] if item.constant is None else self.constants[id(item)]

        line = self._listing.lines[i]
        try:
            result = function(*map_nested(find, args), **map_nested(find, options))
        except Exception as error:  # whatever it is, it goes on, with the line added
            names = Names(self._listing)
            error.add_note(f"in {self._listing.name}: {names.results(line)} = {names.call(line)}"[:280])
            raise
        _bind(line.result, result, known)

    def _translated(self, line: Line) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """What to call, and the arguments with the dtypes and the device of this library."""
        args = map_nested(self._renamed, line.args)
        options = map_nested(self._renamed, line.options)
        if options.get("device") is not None:
            options["device"] = self._device
        if line.name == "to_device" and not line.is_primitive:
            return _stay, args, {}
        return self._function(line), args, options

    def _renamed(self, item: Any) -> Any:
        """An argument as it is, or this library's dtype in place of the program's."""
        if not self._dtypes or isinstance(item, Value | str | int | float | complex | slice | None):
            return item
        try:
            return self._dtypes.get(item, item)
        except TypeError:  # no hash, so no dtype
            return item

    def _function(self, line: Line) -> Callable[..., Any]:
        """The function of a line in this library."""
        if self._home or line.is_primitive or _is_operator(line.function):
            return line.function
        found: Any = self._xp
        for part in line.name.split("."):
            found = getattr(found, part, None)
        if found is None:
            raise TypeError(
                f"eval: {self._xp.__name__} has no function {line.name!r}, which {self._listing.name} calls; "
                "use a function of the standard there, or an extension that both libraries have"
            )
        function: Callable[..., Any] = found
        return function


def _stay(x: Array, *_: Any) -> Array:
    """A move to another device, in a program that runs on one."""
    return x


def _is_operator(function: Any) -> bool:
    """Whether it is from Python's own module of operators, which serves every library."""
    return "operator" in (getattr(function, "__module__", "") or type(function).__module__).strip("_")


def _translation(old: Namespace, new: Namespace, others: Mapping[str, str]) -> dict[DType, DType]:
    """For each dtype object of a library the one of another; empty if they are the same."""
    if old is new and not others:
        return {}
    table: dict[DType, DType] = {}
    for name in _DTYPES:
        dtype, wanted = getattr(old, name, None), getattr(new, others.get(name, name), None)
        if dtype is not None and wanted is not None:
            table[dtype] = wanted
            try:
                table[old.empty(0, dtype=dtype).dtype] = wanted  # NumPy has a class and an object for each
            except (TypeError, ValueError):  # a dtype that the device lacks
                continue
    return table


def _last_uses(listing: Listing) -> list[list[int]]:
    """For each line the values that nothing reads after it."""
    last: dict[int, int] = {}
    for i, line in enumerate(listing.lines):
        last.update((id(value), i) for value in line.inputs() + line.outputs())
    for value in listing.results():
        last.pop(id(value), None)
    over: list[list[int]] = [[] for _ in listing.lines]
    for key, i in last.items():
        over[i].append(key)
    return over


def _bind(described: Any, result: Any, known: dict[int, Array]) -> None:
    """Note each array of a result under the value that stands for it."""
    if type(described) is Value:
        if described.constant is None:
            known[id(described)] = result
    elif isinstance(described, dict):
        for key, item in described.items():
            _bind(item, result[key], known)
    elif isinstance(described, tuple | list):
        for item, part in zip(described, result, strict=True):
            _bind(item, part, known)
