"""Objects that record the call that made them: optimizers and schedules."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable
from functools import cache, partial
from inspect import Signature, signature
from types import FunctionType
from typing import Any, final

__all__ = ["Made", "Same"]

_LONGEST = 200  # characters of a text


class Made(ABC):
    """An object that compares, hashes and prints as the call that made it.

    Arguments compare by meaning: ``sgd(0.1)`` equals ``sgd(learning_rate=0.1)``. User-defined functions and
    objects among them compare by identity, and so do objects without a call.

    Attributes:
        made: the call; None if unknown.
    """

    __slots__ = ()

    made: partial[Any] | None

    def __eq__(self, other: object) -> bool:
        if self.made is None or type(other) is not type(self):
            return self is other
        return _key(self) == _key(other)

    def __hash__(self) -> int:
        return object.__hash__(self) if self.made is None else hash(_key(self))

    def __repr__(self) -> str:
        if self.made is None:
            return object.__repr__(self)
        text = _text(self.made)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _text(made: partial[Any]) -> str:
    """Return a call as text."""
    shown = [*map(_shown, made.args), *(f"{name}={_shown(value)}" for name, value in made.keywords.items())]
    return f"{made.func.__name__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    return value.__name__ if isinstance(value, FunctionType) else repr(value)[:_LONGEST]


@final
class Same:
    """An object that is compared by identity, and kept alive."""

    __slots__ = ("_thing",)

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._thing is other._thing

    def __hash__(self) -> int:
        return id(self._thing)


def _key(x: Any) -> Hashable:
    """Return a key that is equal only for arguments of equal meaning: 1 is not True, 0.0 is not -0.0."""
    if isinstance(x, float):
        return type(x), x.hex()
    if isinstance(x, bool | int | str | None):
        return type(x), x
    if isinstance(x, Made) and x.made is not None:
        given = _signature_of(x.made.func).bind(*x.made.args, **x.made.keywords)
        given.apply_defaults()
        return x.made.func, _key(given.arguments)
    if isinstance(x, tuple | list):
        return type(x), *map(_key, x)
    if isinstance(x, dict):
        return type(x), *[(key, _key(value)) for key, value in x.items()]
    return Same(x)


@cache
def _signature_of(function: Callable[..., Any]) -> Signature:
    return signature(function)
