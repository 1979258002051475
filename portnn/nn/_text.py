"""Layers as text: the call that makes them, without default arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from inspect import Parameter, signature
from itertools import accumulate
from typing import Any

__all__ = ["label_of", "name_of", "one_line", "short_repr"]

_LABEL = 40  # characters of a layer in a table or a message
_ACTIVATION = ("function", "options")  # the fields of an `Activation`
_PER_AXIS = ("PerAxis", "Padding")  # annotations in the modules of layers


def short_repr(layer: Any, width: float = 100) -> str:
    r"""Return a layer as the call that makes it, on one or two lines.

    Args:
        layer: a layer.
        width: the length of a line. Text too long for two lines omits members, with their number.

    Returns:
        Code that makes an equal layer, unless something is omitted or user-defined.

    Example:
        >>> from portnn.nn import Conv2d, Linear, Residual, Sequential, relu
        >>> Sequential([Conv2d(3, 8, 5, padding="same"), relu, Residual([Linear(8, 8), relu])])
        Sequential([Conv2d(3, 8, 5, padding='same'), relu, Residual([Linear(8, 8), relu])])
        >>> short_repr(Sequential([Linear(80, 80)] * 30), 50)
        'Sequential([Linear(80, 80), ... 28 more,\n    Linear(80, 80)])'
    """
    text = one_line(layer, 2 * width - _LABEL)  # leaves room to break at a comma
    return text if len(text) <= width else _broken(text, width)


def one_line(layer: Any, room: float) -> str:
    """Return a layer as the call that makes it, omitting members if it is too long."""
    text = _whole(layer)
    return text if len(text) <= room else _cut(layer, room)


def _broken(text: str, width: float) -> str:
    """Break a text after a comma, at the lowest bracket depth."""
    depths = [*accumulate([(c in "([{") - (c in ")]}") for c in text])]
    commas = [i for i, c in enumerate(text) if c == "," and len(text) - width + 2 <= i < width]
    if not commas:
        return text
    last = min(commas, key=lambda i: (depths[i], -i))
    return f"{text[: last + 1]}\n    {text[last + 2 :]}"


def label_of(layer: Any) -> str:
    """Return a layer in at most 40 characters; a container as its class name."""
    name = type(layer).__name__
    if layer.members:
        times, own = getattr(layer, "times", None), getattr(layer, "name", None)
        told = f"({times} times)" if times else f"({own!r})" if own else ""
        return f"{name}{told}"[:_LABEL]
    text = _whole(layer)
    if len(text) > _LABEL:
        text = f"{name}({', '.join(_required(layer))})"
    return text if len(text) <= _LABEL else f"{name}(...)"


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function in code."""
    return str(getattr(function, "__name__", type(function).__name__))


def _whole(layer: Any) -> str:
    """Return the call that makes a layer."""
    if not is_dataclass(layer):
        return object.__repr__(layer)
    if tuple(f.name for f in fields(layer)) == _ACTIVATION:
        return f"{type(layer).__name__}({', '.join(_call_of(layer))})"
    return f"{type(layer).__name__}({', '.join(_arguments(layer))})"


def _call_of(activation: Any) -> list[str]:
    options = [f"{name}={value!r}" for name, value in activation.options]
    return [name_of(activation.function), *options]


def _arguments(layer: Any) -> list[str]:
    """Return the required and the non-default arguments of a layer."""
    parameters = _told(layer)
    usual = _usual(layer)
    shown = _required(layer)
    for name, default in parameters.items():
        value, expected = getattr(layer, name, MISSING), getattr(usual, name, default)
        lone = len(parameters) == 1  # `Dropout(p=0.5)` says more than `Dropout()`
        if default is not Parameter.empty and value is not MISSING and (lone or not _same(value, expected)):
            shown.append(f"{name}={_value(layer, _single(layer, name))}")
    return shown


def _usual(layer: Any) -> Any:
    """Return the layer with the required arguments only; None if it would not be valid."""
    needed = [name for name, default in _told(layer).items() if default is Parameter.empty]
    if not _is_ours(layer):
        return None
    try:
        return type(layer)(**{name: getattr(layer, name) for name in needed})
    except (TypeError, ValueError, AttributeError):  # valid only with other arguments
        return None


def _is_ours(layer: Any) -> bool:
    return type(layer).__module__.startswith("portnn.")


def _required(layer: Any) -> list[str]:
    """Return the texts of the arguments without a default."""
    needed = [name for name, default in _told(layer).items() if default is Parameter.empty]
    return [_value(layer, _single(layer, name)) for name in needed]


def _told(layer: Any) -> dict[str, Any]:
    kind: Any = type(layer)
    return _parameters(kind)


@cache
def _parameters(kind: Any) -> dict[str, Any]:
    """Return the arguments of a class and their defaults; `Parameter.empty` for none."""
    made = {f.name: f.default_factory for f in fields(kind) if f.default_factory is not MISSING}
    taken = [p for p in signature(kind).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    return {p.name: made[p.name]() if p.name in made else p.default for p in taken}


def _single(layer: Any, name: str) -> Any:
    """Return an argument as text; equal numbers along each axis as one number."""
    value: Any = getattr(layer, name, ...)
    kind = next((str(f.type) for f in fields(layer) if f.name == name), "")
    flat = type(value) is tuple and len({*value}) == 1
    return value[0] if flat and kind.startswith(_PER_AXIS) and isinstance(value[0], int) else value


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def _value(owner: Any, value: Any) -> str:
    """Return an argument as text; layers in portnn's containers as lists and functions, which they accept."""
    if type(value) in (tuple, list) and value and all(hasattr(item, "members") for item in value):
        return f"[{', '.join([_value(owner, item) for item in value])}]"
    if not hasattr(value, "members"):
        return name_of(value) if callable(value) and not is_dataclass(value) else repr(value)
    if not _is_ours(owner) or not _is_ours(value):
        return _whole(value) if _is_ours(value) else repr(value)
    names = tuple(f.name for f in fields(value)) if is_dataclass(value) else ()
    if names == _ACTIVATION and not value.options:
        return name_of(value.function)
    if names == ("layers",) and type(value).__name__ == "Sequential":
        return _value(owner, value.layers)
    return _whole(value)


def _cut(layer: Any, room: float) -> str:
    """Return a layer as text without some of its members or options."""
    name, members = type(layer).__name__, list(getattr(layer, "members", ()))
    if len(members) < 2:
        left = room - len(f"{name}([])")
        inner = f"[{one_line(members[0], left)}]" if members else f"{', '.join(_required(layer))}, ..."
        return f"{name}({inner})" if len(inner) - 2 <= left else f"{name}(...)"
    texts = [_in_short(layer, member) for member in members]
    for kept in range(len(texts) - 2, -1, -1):
        left = len(texts) - 1 - kept
        text = f"{name}([{', '.join([*texts[:kept], f'... {left} more', texts[-1]])}])"
        if len(text) <= room:
            return text
    return f"{name}(...)"


def _in_short(owner: Any, member: Any) -> str:
    text = _value(owner, member)
    return text if len(text) <= _LABEL else label_of(member)
