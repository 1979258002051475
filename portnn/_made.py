"""What knows the call that made it: optimizers of recipes, and schedules."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable
from functools import cache, partial
from inspect import Signature, signature
from types import FunctionType
from typing import Any, final

__all__ = ["Made"]

_LONGEST = 200  # characters of a text


class Made(ABC):
    """Something that a function made: it compares, hashes and prints as that call.

    Arguments count by meaning, however they are written: ``sgd(0.1)`` is ``sgd(learning_rate=0.1)``.
    Functions and objects of the user's own among them count by identity. What no function made equals itself
    alone.

    Attributes:
        made: the call; None if it is not known.
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
    """Return a call as it was written."""
    shown = [*map(_shown, made.args), *(f"{name}={_shown(value)}" for name, value in made.keywords.items())]
    return f"{made.func.__name__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    return value.__name__ if isinstance(value, FunctionType) else repr(value)[:_LONGEST]


@final
class _Same:
    """A thing that equals itself alone."""

    __slots__ = ("_thing",)

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._thing is other._thing

    def __hash__(self) -> int:
        return id(self._thing)


def _key(x: Any) -> Hashable:
    """Return what equals only for arguments of the same meaning: 1 is not True, and 0.0 is not -0.0."""
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
    return _Same(x)


@cache
def _signature_of(function: Callable[..., Any]) -> Signature:
    return signature(function)
