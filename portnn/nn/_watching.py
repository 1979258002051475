"""A layer that tells of every call of the layers inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Final, TypeAlias, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.nn._layer import Layer, check_layer

__all__ = ["Visit", "outputs_of", "walk", "watched"]

_TOLD: Final = "_told"  # where a watched layer keeps whom it tells


@final
@dataclass(frozen=True, eq=False)
class Visit:
    """One call of a layer, told after it.

    Attributes:
        path: the place of the layer among the members of its container, after that of the container; empty
            for the whole.
        layer: the layer, as the user wrote it.
        params: its parameters.
        state: its running state before the call.
        inputs: what it was given: `x`, and further inputs.
        options: the options it was given, ``training`` and ``key`` among them.
        output: what it made of it.
    """

    path: tuple[int, ...]
    layer: Layer
    params: Tree
    state: Tree
    inputs: tuple[Array, ...]
    options: dict[str, Any]
    output: Any


_See: TypeAlias = Callable[[Visit], object]


def walk(layer: Layer, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Layer]]:
    """A layer and those inside it with their paths, from the outermost inwards and from first to last.

    Args:
        layer: the layer.
        path: its own path.

    Yields:
        Paths as in `Visit`, and layers.

    Raises:
        TypeError: if it is no layer.

    Example:
        >>> from portnn.nn import Linear, Sequential, relu
        >>> [path for path, _ in walk(Sequential([Linear(3, 2), [relu, relu]]))]
        [(), (0,), (1,), (1, 0), (1, 1)]
    """
    check_layer("walk", layer)
    return _walk(layer, path)


def _walk(layer: Layer, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Layer]]:
    yield path, layer
    for i, member in enumerate(layer.members):
        yield from _walk(member, (*path, i))


def watched(layer: Layer, see: Callable[[Visit], object]) -> Layer:
    """The same layer, which tells of each call of itself and of the layers inside.

    Its parameters and results are those of `layer`. A container of one's own is looked into if its members
    stand in its fields; else it is told of as a whole.

    Args:
        layer: the layer; it stays as it is.
        see: a function of a `Visit`, called after each call, members before their container.

    Returns:
        A layer for the same parameters.

    Raises:
        TypeError: if it is no layer, or `see` no function.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import Linear, Sequential, relu
        >>> model = Sequential([Linear(3, 2), relu])
        >>> shapes = {}
        >>> def see(visit):
        ...     shapes[visit.path] = visit.output.shape
        >>> y = watched(model, see).apply(model.init(np.random.default_rng(0)), np.ones((5, 3), "float32"))
        >>> shapes
        {(0,): (5, 2), (1,): (5, 2), (): (5, 2)}
    """
    check_layer("watched", layer)
    if not callable(see):
        raise TypeError(f"watched: see must be a function of a Visit, got {type(see).__name__:.60}")
    return _watched(layer, see, ())


def _watched(layer: Layer, see: _See, path: tuple[int, ...]) -> Layer:
    shadow: Any = object.__new__(_watched_class(type(layer)))
    for name, value in _fields(layer):
        object.__setattr__(shadow, name, value)
    object.__setattr__(shadow, _TOLD, (layer, see, path))
    if not hasattr(layer, "parts"):
        left = list(enumerate(layer.members))
        for name, value in _fields(layer):
            object.__setattr__(shadow, name, _replaced(value, left, see, path))
    return shadow


def _fields(layer: Layer) -> list[tuple[str, Any]]:
    """What an instance holds, whether in a dictionary or in slots."""
    slots = [name for kind in type(layer).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {name: getattr(layer, name) for name in slots if hasattr(layer, name)}
    return list({**held, **getattr(layer, "__dict__", {})}.items())


def _replaced(value: Any, left: list[tuple[int, Layer]], see: _See, path: tuple[int, ...]) -> Any:
    """A field with the members in it watched; `left` are the members that were not met yet."""
    if type(value) in (tuple, list):
        return type(value)([_replaced(item, left, see, path) for item in value]) if left else value
    for place, (i, member) in enumerate(left):
        if member is value:
            left.pop(place)
            return _watched(member, see, (*path, i))
    return value


@cache
def _watched_class(kind: type[Any]) -> type[Any]:
    """The class of the watched layers of a class; one for each, so that nothing piles up."""

    @wraps(kind.forward)
    def forward(self: Any, params: Tree, state: Tree, x: Array, *more: Any, **options: Any) -> Any:
        layer, see, path = vars(self)[_TOLD]
        result = kind.forward(self, params, state, x, *more, **options)
        output = result[0] if isinstance(result, tuple) and len(result) == 2 else result
        see(Visit(path, layer, params, state, (x, *more), copy(options), output))
        return result

    def parts(self: Any) -> dict[str, Layer]:
        _, see, path = vars(self)[_TOLD]
        own = kind.parts(self)
        return {name: _watched(part, see, (*path, i)) for i, (name, part) in enumerate(own.items())}

    names: dict[str, Any] = {
        "forward": forward,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
    }
    if hasattr(kind, "parts"):
        names["parts"] = parts
    return type(kind.__name__, (kind,), names)


def outputs_of(layer: Layer, params: Tree, state: Tree, x: Array) -> dict[str, Array]:
    """Return the output of each layer without members, by path and name, in the order of the calls.

    A layer with several calls or outputs has an entry for each, with a number after its name.
    """
    from portnn.nn._naming import path_text  # of which this module is a part
    from portnn.nn._text import label_of

    found: dict[str, Array] = {}

    def see(visit: Visit) -> None:
        if visit.layer.members:
            return
        name = f"{path_text(visit.path)} {label_of(visit.layer)}"
        for y in tree.leaves(visit.output):
            times = sum([known.partition(" #")[0] == name for known in found])
            found[f"{name} #{times + 1}" if times else name] = y

    watched(layer, see).apply(params, x, state=state)
    return found
