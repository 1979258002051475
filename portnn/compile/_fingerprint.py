"""A key for a step: equal for two steps only if they are certain to do the same.

Tracing a step stores the values that its functions refer to: numbers in closures, globals that a user's loss
reads, fields of a layer. A plan may be reused only while all of these are the same. So the key of a function
is its code and the values that it refers to, and that of an object its class and fields. A step with
something that cannot be inspected, or is too large, is not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from dis import get_instructions
from enum import Enum
from functools import cached_property, partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, final

import numpy as np

from portnn._made import Made, Same

__all__ = ["Fingerprint", "fingerprint"]

Fingerprint = tuple[Hashable, ...]
"""Whether it can never change, then the entries of the table."""

_MOST = 5000  # objects to inspect
_LARGEST = 4096  # bytes of an array that is part of a key
_NUMBERS = (float, complex)  # 0.0 and -0.0 are equal, NaN and NaN are not
_PLAIN = (int, bool, str, bytes, type(None), type(...), type(NotImplemented), CodeType)
_WRITTEN_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_ALONE = (np.ufunc, type(np.dtype("f4")), np.dtype)
# The functions of these modules do not change, and read nothing that does.
_FIXED = frozenset({
    *sys.stdlib_module_names, "array_api_compat", "array_api_strict", "cupy", "cupyx", "jax", "jaxlib",
    "numpy", "portnn", "scipy", "sklearn", "torch",
} - {"__main__"})  # fmt: skip

# Functions that use these names, or functions of these modules, may read hidden state.
_UNSEEN = frozenset({
    "__dict__", "__import__", "environ", "eval", "exec", "getattr", "getenv", "globals", "locals", "open",
    "vars",
})  # fmt: skip
_WORLD = frozenset({
    "contextvars", "datetime", "decimal", "gc", "importlib", "inspect", "io", "locale", "logging", "nt",
    "numpy.random", "os", "pathlib", "posix", "random", "secrets", "sys", "threading", "time", "uuid",
})  # fmt: skip
_TOOLS = frozenset({"importlib", "inspect", "threading"})  # of these, single functions read no state


class _NotKeptError(Exception):
    """An object cannot be part of a key."""


def fingerprint(*parts: Any) -> Fingerprint | None:
    """Return a key for what functions and objects do; None if it cannot be determined.

    Args:
        *parts: layers, losses, optimizers, functions, numbers, strings, and containers of these.

    Example:
        >>> fingerprint(lambda x: x + 1) is None
        False
        >>> rates = [fingerprint(partial(max, rate)) for rate in (0.1, 0.1, 0.2)]
        >>> rates[0] == rates[1], rates[0] == rates[2]
        (True, False)
    """
    reader = _Reader()
    try:
        roots = [*map(reader.mark, parts)]
    except Exception:  # noqa: BLE001  # from the objects' own methods, or a RecursionError
        return None
    return (reader.settled, *roots, *reader.table)


@final
class _Reader:
    """Inspect objects, each once.

    An object is identified by its number in a table of all distinct objects, whose entries are tuples with
    the numbers of their parts. So the length of a key does not grow with the number of references.

    Attributes:
        table: the numbers by entry.
        settled: whether no object can change: parts of libraries, numbers, text and tuples.
    """

    def __init__(self) -> None:
        self.table: dict[Hashable, int] = {}
        self.settled = True
        self._met: dict[int, int] = {}
        self._alive: list[Any] = []  # ids are unique only among live objects

    def mark(self, x: Any) -> int:
        """Return the number of an object."""
        kind = type(x)
        if kind in _PLAIN:
            return self._number((kind, x))
        if kind in _NUMBERS:
            return self._number((kind, repr(x)))
        found = self._met.get(id(x))
        if found is None:
            if len(self._met) >= _MOST:
                raise _NotKeptError
            self._met[id(x)] = -len(self._met) - 1  # for objects that refer to themselves
            self._alive.append(x)
            if isinstance(x, type | FunctionType | BuiltinFunctionType) and _is_worldly(x):
                raise _NotKeptError
            fixed = kind in _ALONE or isinstance(x, Enum) or _is_fixed(x)
            self.settled &= fixed or _is_settled(x)
            found = self._met[id(x)] = self._number(Same(x) if fixed else (self.mark(kind), *self._inside(x)))
        return found

    def _number(self, item: Hashable) -> int:
        return self.table.setdefault(item, len(self.table))

    def _inside(self, x: Any) -> Iterator[Hashable]:
        """Yield the parts of an object."""
        mark = self.mark
        parts = _parts(x)
        if parts is not None:
            yield from map(mark, parts)
        elif isinstance(x, set | frozenset):
            members = set.__iter__(x) if isinstance(x, set) else frozenset.__iter__(x)
            yield (tuple(sorted(map(mark, members))), *map(mark, _own(x)))
        elif isinstance(x, np.ndarray | np.generic):
            if x.nbytes > _LARGEST or x.dtype.hasobject:
                raise _NotKeptError
            yield from map(mark, _own(x))
            yield from (x.shape, x.strides, Same(x.dtype) if x.dtype.fields else x.dtype.str, x.tobytes())
        elif isinstance(x, FunctionType):
            yield from self._function(x)
        elif isinstance(x, ModuleType):  # its use is visible only in functions that name it
            raise _NotKeptError
        elif isinstance(x, type):
            yield Same(x)
            yield from map(mark, _members(x))
        else:
            fields = _fields(x)
            yield tuple(fields)
            yield from map(mark, fields.values())

    def _function(self, f: FunctionType) -> Iterator[Hashable]:
        """Yield the code of a function, and the values that it refers to."""
        mark = self.mark
        yield from (f.__code__, f.__module__)
        yield from map(mark, (f.__defaults__, f.__kwdefaults__, f.__dict__))
        try:
            yield from [mark(cell.cell_contents) for cell in f.__closure__ or ()]
        except ValueError:  # an empty cell
            raise _NotKeptError from None
        if _root(f.__globals__.get("__name__")) in _FIXED:  # a wrapper has the `__module__` of what it wraps
            return
        names = sorted({*_names(f.__code__)})
        for name in names:
            imported = name not in f.__globals__ and _root(name) in sys.modules and _root(name) not in _FIXED
            if imported or name in _UNSEEN:
                raise _NotKeptError  # it may read what is not in its globals
        if any(_in_world(name) or _root(name) == "numpy" for name in names):
            for module in _imports(f.__code__):
                if _in_world(module) or (_root(module) == "numpy" and "random" in names):
                    raise _NotKeptError
        yield from self._named(f.__globals__, names, set())

    def _named(self, known: dict[str, Any], names: list[str], met: set[int]) -> Iterator[Hashable]:
        """Yield the values of names, also in the modules among them, recursively."""
        for name in [n for n in names if n in known]:
            found = known[name]
            if not isinstance(found, ModuleType):
                # A library's attribute is compared by identity: it may be replaced.
                yield name, self._number(Same(found)) if _in_library(known) else self.mark(found)
            elif id(found) not in met:
                met.add(id(found))
                if _in_world(found.__name__):
                    raise _NotKeptError
                yield name, self._number(Same(found))
                yield from self._named(vars(found), names, met)


def _parts(x: Any) -> list[Any] | None:
    """Return the parts of a container or a bound function; None for other objects."""
    if isinstance(x, tuple | list):  # a subclass may override __iter__
        members = tuple.__iter__(x) if isinstance(x, tuple) else list.__iter__(x)
        return [*members, *_own(x)]
    if isinstance(x, dict):
        return [*dict.keys(x), *dict.values(x), *_own(x)]
    if isinstance(x, Made) and x.made is not None:  # its fields add nothing
        return [x.made]
    if isinstance(x, partial):
        return [x.func, x.args, x.keywords, *_own(x)]
    if isinstance(x, BuiltinFunctionType):  # a method, such as the `append` of a list
        return [x.__self__, x.__name__]
    return [x.__self__, x.__func__] if isinstance(x, MethodType) else None


def _own(x: Any) -> list[Any]:
    """Return the fields that a subclass of a built-in type adds."""
    return [x.__dict__] if hasattr(x, "__dict__") else []


def _root(name: Any) -> str:
    """Return the top-level package of a module name."""
    return str(name or "").partition(".")[0]


def _in_world(name: str) -> bool:
    """Return whether the functions of a module may read hidden state."""
    return name in _WORLD or _root(name) in _WORLD


def _is_worldly(x: Any) -> bool:
    """Return whether a function or a class is from such a module, under any name."""
    module = getattr(x, "__module__", None)
    return isinstance(module, str) and _in_world(module) and _root(module) not in _TOOLS


def _package(x: Any) -> str:
    return _root(getattr(x, "__module__", None))


def _is_settled(x: Any) -> bool:
    """Return whether an object itself cannot change; its parts are inspected separately."""
    if isinstance(x, FunctionType):
        return _in_library(x.__globals__)
    return _package(type(x)) in _FIXED and not isinstance(x, type | list | set | np.ndarray)


def _in_library(known: dict[str, Any]) -> bool:
    """Return whether globals are those of a library's module."""
    return _root(known.get("__name__")) in _FIXED


def _is_fixed(x: Any) -> bool:
    """Return whether an object is a module of a library, or an attribute of one by its name."""
    if isinstance(x, ModuleType):
        return x.__name__.partition(".")[0] in _FIXED
    if isinstance(x, BuiltinFunctionType) and (x.__self__ is None or isinstance(x.__self__, ModuleType)):
        return True
    if _package(x) not in _FIXED:
        return False
    found: Any = sys.modules.get(x.__module__)
    for name in str(getattr(x, "__qualname__", "")).split("."):
        found = getattr(found, name, None)
    return found is x


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that code refers to, including those of nested functions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _imports(code: CodeType) -> Iterator[str]:
    """Yield the modules that code imports when run, including those of nested functions."""
    yield from (step.argval for step in get_instructions(code) if step.opname == "IMPORT_NAME")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


def _members(kind: type) -> list[Any]:
    """Return the members of a class and its bases, except those from libraries."""
    found: list[Any] = []
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in _FIXED:
            continue
        for name, member in sorted(vars(base).items()):
            if isinstance(member, staticmethod | classmethod):
                found.append((name, member.__func__))
            elif isinstance(member, property):
                found.append((name, member.fget))
            elif isinstance(member, cached_property):
                found.append((name, member.func))
            elif name not in _BOOKKEEPING and not _is_slot(member):
                found.append((name, member))
    return found


_BOOKKEEPING = frozenset({
    "__abstractmethods__", "__annotations__", "__dataclass_fields__", "__dataclass_params__", "__dict__",
    "__doc__", "__firstlineno__", "__match_args__", "__module__", "__parameters__", "__slots__",
    "__static_attributes__", "__weakref__", "_abc_impl",
})  # fmt: skip


def _is_slot(member: Any) -> bool:
    return type(member).__name__ in ("member_descriptor", "getset_descriptor")


def _fields(x: Any) -> dict[str, Any]:
    """Return the fields of an object.

    Raises:
        _NotKeptError: if it may have hidden fields: subclasses of numbers and strings, and objects that
            define `__reduce__`, such as random generators.
    """
    kind = type(x)
    slots = [name for base in kind.__mro__ for name in _slots(base)]
    hidden = not all(base is object or base.__flags__ & _WRITTEN_IN_PYTHON for base in kind.__mro__)
    own = any("__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in kind.__mro__[:-1])
    if hidden or (own and _package(kind) != "portnn") or not (hasattr(x, "__dict__") or slots):
        raise _NotKeptError
    return {**{name: getattr(x, name) for name in slots if hasattr(x, name)}, **getattr(x, "__dict__", {})}


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    private = f"_{kind.__name__.lstrip('_')}"
    return tuple([f"{private}{n}" if n.startswith("__") and not n.endswith("__") else n for n in names])
