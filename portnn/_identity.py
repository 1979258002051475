"""What things are, as keys: equal for two things if what is planned for one serves the other as well.

Portnn's layers, recipes and schedules, frozen dataclasses, `functools.partial` and plain data compare by
meaning, everything else by identity: functions of the user's own, losses, objects. What may change under the
same identity, such as a number that a function takes from its module, is part of the key. Arrays may change
without a trace, so that what holds one has no key.
"""

from __future__ import annotations

import dis
from abc import ABC
from collections.abc import Callable, Hashable, Iterator
from enum import Enum
from functools import cache, lru_cache, partial
from inspect import Signature, signature
from sys import modules
from types import BuiltinFunctionType, CodeType, EllipsisType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any, final

__all__ = ["Made", "identity_of"]

_PLAIN = frozenset({bool, int, str, bytes, NoneType, EllipsisType})
_WHOLE = (Enum, ModuleType, BuiltinFunctionType)
_LONGEST = 200  # characters of a text


class Made(ABC):
    """Something that a function made: it compares, hashes and prints as that call."""

    __slots__ = ()

    made: partial[Any] | None

    def __eq__(self, other: object) -> bool:
        if self.made is None or type(other) is not type(self):
            return self is other
        return _Walk(watch=False).of(self) == _Walk(watch=False).of(other)

    def __hash__(self) -> int:
        return object.__hash__(self) if self.made is None else hash(_Walk(watch=False).of(self))

    def __repr__(self) -> str:
        return object.__repr__(self) if self.made is None else _shortened(_call_text(self.made))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _call_text(made: partial[Any]) -> str:
    """Return a call as it was written."""
    shown = [*map(_text, made.args), *(f"{name}={_text(value)}" for name, value in made.keywords.items())]
    return f"{made.func.__name__}({', '.join(shown)})"


def _text(value: Any) -> str:
    if isinstance(value, FunctionType):
        return value.__name__
    return repr(value)[:_LONGEST]


def identity_of(*things: Any) -> Hashable | None:
    """Return a key for things that a plan is made of.

    Args:
        *things: layers, losses, optimizers, penalties, and plain data.

    Returns:
        A key that is equal for things of equal meaning; it holds on to them. None if a part is, or holds, an
        array or another value that can change unseen: then nothing that was made of them can be kept.

    Example:
        >>> from portnn import losses, optim
        >>> identity_of(optim.sgd(0.1)) == identity_of(optim.sgd(learning_rate=0.1))
        True
        >>> entropy = losses.softmax_cross_entropy
        >>> identity_of(partial(entropy, ignore_index=0)) == identity_of(partial(entropy, ignore_index=0))
        True
        >>> identity_of(partial(entropy, ignore_index=0)) == identity_of(partial(entropy, ignore_index=False))
        False
    """
    try:
        return _Walk(watch=True).of(things)
    except (_ChangesError, RecursionError):
        return None


class _ChangesError(Exception):
    """A part can change without a trace."""


@final
class _Same:
    """A thing that equals itself alone. It is held, so that its identity goes to nothing else."""

    __slots__ = ("_thing",)

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._thing is other._thing

    def __hash__(self) -> int:
        return id(self._thing)


@final
class _Walk:
    """Goes through a thing and makes its key.

    Args:
        watch: whether what can change under the same identity is part of the key.
    """

    def __init__(self, *, watch: bool) -> None:
        self._watch = watch
        self._known: dict[int, tuple[Any, Hashable]] = {}  # with the thing, whose id goes to nothing else
        self._open: list[int] = []

    def of(self, x: Any) -> Hashable:
        """Return the key of a thing. Types are part of it: 1 is neither True nor 1.0, and 0.0 is not -0.0."""
        kind = type(x)
        if kind in _PLAIN:
            return kind, x
        if kind is float:
            return kind, x.hex()
        if isinstance(x, _WHOLE) or _is_ours(x):
            return _Same(x)
        if id(x) in self._open:
            return "again", self._open.index(id(x))
        if id(x) not in self._known:
            self._open.append(id(x))
            self._known[id(x)] = x, self._found(x)
            self._open.pop()
        return self._known[id(x)][1]

    def _found(self, x: Any) -> Hashable:
        kind = type(x)
        if isinstance(x, type):
            return self._class(x)
        if isinstance(x, Made) and x.made is not None:
            given = _signature_of(x.made.func).bind(*x.made.args, **x.made.keywords)
            given.apply_defaults()
            return _Same(x.made.func), self.of(given.arguments)
        if isinstance(x, partial):
            return kind, self.of(x.func), self.of(x.args), self.of(dict(sorted(x.keywords.items())))
        if isinstance(x, MethodType):
            return kind, self.of(x.__func__), self.of(x.__self__)
        if isinstance(x, tuple | list):
            return kind, *map(self.of, x)
        if isinstance(x, dict):
            return kind, *[(self.of(key), self.of(value)) for key, value in x.items()]
        if isinstance(x, set | frozenset):
            return kind, frozenset(map(self.of, x))
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            return self._array(x)
        if isinstance(x, FunctionType):
            return (_Same(x), *self._of_function(x)) if self._watch else _Same(x)
        return self._object(x)

    def _array(self, x: Any) -> Hashable:
        """NumPy's numbers do not change; arrays may."""
        if not hasattr(x, "__setitem__") and hasattr(x, "tobytes") and x.shape == ():
            return type(x), x.tobytes()
        if self._watch:
            raise _ChangesError
        return _Same(x)

    def _object(self, x: Any) -> Hashable:
        """A frozen dataclass is what its fields are; an object of another class is itself."""
        kind: Any = type(x)
        made = getattr(kind, "__dataclass_params__", None)
        settled = made is not None and made.frozen and made.eq
        if not settled and not self._watch:
            return _Same(x)
        held = [(name, self.of(value)) for name, value in _attributes(x)]
        return self.of(kind) if settled else _Same(x), *held

    def _class(self, kind: type) -> Hashable:
        """A class of the user's own has functions, and they look at the module around them."""
        if not self._watch or _is_foreign(kind):
            return _Same(kind)
        own = [base for base in kind.__mro__ if not _is_ours(base) and not _is_foreign(base)]
        values = [(name, value) for base in own for name, value in vars(base).items() if not _is_dunder(name)]
        found = [(n, self.of(getattr(v, "__func__", v))) for n, v in values if _is_watched(v)]
        return _Same(kind), *found

    def _of_function(self, f: FunctionType) -> Iterator[Hashable]:
        """Yield what a function reads besides its arguments: variables around it, defaults, its module's."""
        for cell in f.__closure__ or ():
            yield self.of(_content(cell))
        yield self.of((f.__defaults__, f.__kwdefaults__))
        for name in _globals_of(f.__code__):
            if name in f.__globals__:
                value = f.__globals__[name]
                elsewhere = getattr(value, "__module__", None) != f.__module__
                foreign = isinstance(value, FunctionType | type) and elsewhere
                yield _Same(value) if foreign else self.of(value)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name != "__call__"


def _is_watched(value: Any) -> bool:
    """Return whether a class attribute is a function, or a plain value that a function may read."""
    return isinstance(getattr(value, "__func__", value), FunctionType) or type(value) in (*_PLAIN, float)


def _is_foreign(kind: type) -> bool:
    """Return whether a class is of Python itself."""
    return kind.__module__ in ("builtins", "abc", "typing", "functools", "collections")


def _is_ours(x: Any) -> bool:
    """Return whether it is a function or a class of portnn, or what a module of portnn has by its name."""
    home = getattr(x, "__module__", None)
    if not isinstance(home, str) or home.partition(".")[0] != "portnn":
        return False
    if isinstance(x, FunctionType | type):
        return True
    name = getattr(x, "__qualname__", None) or getattr(x, "__name__", None)
    return isinstance(name, str) and getattr(modules.get(home), name, None) is x


def _attributes(x: Any) -> list[tuple[str, Any]]:
    """Return what an object holds, in slots and in its dictionary."""
    slots = [name for kind in type(x).__mro__ for name in _names(getattr(kind, "__slots__", ()))]
    held = {name: getattr(x, name) for name in slots if name[:2] != "__" and hasattr(x, name)}
    return list({**held, **getattr(x, "__dict__", {})}.items())


def _names(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else [*slots]


def _content(cell: Any) -> Any:
    """Return what a variable of a function around holds; nothing if it is not set yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _globals_of(code: CodeType) -> tuple[str, ...]:
    """Return the names that a function, and those inside it, look up in their module."""
    found = [i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in _globals_of(part)]
    return tuple(dict.fromkeys([*found, *inner]))


@cache
def _signature_of(function: Callable[..., Any]) -> Signature:
    return signature(function)
