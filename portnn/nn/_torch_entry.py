"""How the tensors of a layer are called in PyTorch: what an entry is, and the registry of entries.

`_torch_names` has the entries themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.nn._layer import Layer
from portnn.random import stream

__all__ = ["ENTRIES", "Entry", "Tensors", "entry_of", "indexed", "inside", "named", "nested", "renamed"]

Tensors: TypeAlias = dict[str, Array]


@final
@dataclass(frozen=True)
class Entry:
    """A layer's tensors under PyTorch's names, and back.

    Attributes:
        write: from a layer, its parameters and its state to the tensors; decides which there are and
            their shapes.
        read: from a layer and these tensors to its parameters and state.
    """

    write: Callable[[Any, Tree, Tree], Tensors]
    read: Callable[[Any, Tensors], tuple[Tree, Tree]]


def renamed(
    params: Mapping[str, str], state: Mapping[str, str] | None = None, turned: tuple[str, ...] = ()
) -> Entry:
    """The entry of a layer that differs in names alone, and in matrices that lie transposed.

    Args:
        params: from portnn's names of the parameters to PyTorch's; those that a layer lacks are left out.
        state: the same for the running state.
        turned: which of portnn's parameters are the transposed ones of PyTorch.
    """
    state = {} if state is None else state

    def turn(own: str, a: Array) -> Array:
        return ops.matrix_transpose(a) if own in turned else a

    def write(layer: Layer, p: Tree, s: Tree) -> Tensors:
        tensors = {theirs: turn(own, p[own]) for own, theirs in params.items() if own in p}
        return tensors | {theirs: s[own] for own, theirs in state.items() if own in s}

    def read(layer: Layer, tensors: Tensors) -> tuple[Tree, Tree]:
        p = {own: turn(own, tensors[theirs]) for own, theirs in params.items() if theirs in tensors}
        return p, {own: tensors[theirs] for own, theirs in state.items() if theirs in tensors}

    return Entry(write, read)


def inside(key: Any, tensors: Tensors) -> Tensors:
    """The tensors whose names begin with a key, without it."""
    return {n.removeprefix(f"{key}."): a for n, a in tensors.items() if n.startswith(f"{key}.")}


def nested(members: Callable[[Any], Mapping[Any, Layer]]) -> Entry:
    """The entry of a container.

    Args:
        members: from a container to its members by their keys in the parameters and the state: names, or
            indices if they are tuples. PyTorch's names begin with these keys.
    """

    def write(layer: Layer, params: Tree, state: Tree) -> Tensors:
        return {
            f"{key}.{name}": a
            for key, member in members(layer).items()
            for name, a in entry_of(member).write(member, params[key], state[key]).items()
        }

    def read(layer: Layer, tensors: Tensors) -> tuple[Tree, Tree]:
        parts = {}
        for key, member in members(layer).items():
            parts[key] = entry_of(member).read(member, inside(key, tensors))
        params, state = ({key: part[i] for key, part in parts.items()} for i in (0, 1))
        indexed = all(isinstance(key, int) for key in parts)
        return (tuple(params.values()), tuple(state.values())) if indexed else (params, state)

    return Entry(write, read)


def indexed(layer: Layer) -> dict[Any, Layer]:
    """The members of a container whose parameters are a tuple."""
    return dict(enumerate(layer.members))


def named(layer: Layer) -> dict[Any, Layer]:
    """The members of a container whose parameters are a dictionary."""
    return dict(zip(("layer", "shortcut"), layer.members, strict=False))


_NOTHING = renamed({})
ENTRIES: dict[type[Layer], Entry] = {}


def entry_of(layer: Layer) -> Entry:
    found = ENTRIES.get(type(layer))
    if found is not None:
        return found
    if layer.members or tree.leaves((layer.init(stream(0)), layer.init_state())):
        raise TypeError(f"{type(layer).__name__}: PyTorch has no names for the parameters of this layer")
    return _NOTHING
