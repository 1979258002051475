"""Trees: nested dicts, lists and tuples whose leaves are arrays (or anything else).

Parameters, gradients and optimiser states are trees of the same structure, so one function over
leaves serves them all. ``None`` and empty containers are subtrees without leaves; named tuples keep
their type. Dicts keep their insertion order, and two dicts match when they have the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from portnn._typing import Tree

__all__ = ["flatten", "items", "leaves", "map", "named", "structure", "unflatten"]


class _Leaf:
    """The mark that stands for a leaf in a structure."""

    def __repr__(self) -> str:
        return "*"


_LEAF = _Leaf()
_CONTAINERS = (dict, list, tuple)


class _MismatchError(ValueError):
    """Two trees have different structures; where is found out afterwards."""


def _rebuild(like: Any, children: list[Any]) -> Any:
    """A list or tuple of the type of `like` with other children."""
    if type(like) is tuple:
        return tuple(children)
    return type(like)(*children) if hasattr(like, "_fields") else type(like)(children)


def _describe(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict with keys {[*tree][:6]}"
    if isinstance(tree, list | tuple):
        return f"a {type(tree).__name__} of {len(tree)}"
    return "None" if tree is None else f"a leaf of type {type(tree).__name__}"


def _children(tree: Any) -> list[tuple[Any, Any]] | None:
    """The keys and children of a container; None for a leaf."""
    if isinstance(tree, dict):
        return [*tree.items()]
    return [*enumerate(tree)] if isinstance(tree, list | tuple) else None


def _same_kind(tree: Any, other: Any) -> bool:
    """Whether two nodes are containers of the same type and keys, or both leaves, or both None."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return type(other) is kind and len(tree) == len(other)
    if isinstance(tree, _CONTAINERS):
        if isinstance(tree, dict):
            return isinstance(other, dict) and tree.keys() == other.keys()
        return type(other) is kind and len(tree) == len(other)
    return not isinstance(other, _CONTAINERS) and (tree is None) is (other is None)


def _difference(tree: Any, other: Any, path: str = "") -> str | None:
    """Where two trees differ and how, in words; None if they have the same structure."""
    if not _same_kind(tree, other):
        return f"at {path or 'the root'}: expected {_describe(tree)}, got {_describe(other)}"
    for key, child in _children(tree) or []:
        found = _difference(child, other[key], f"{path}.{key}" if path else str(key))
        if found:
            return found
    return None


def map(f: Callable[..., Any], tree: Tree, /, *rest: Tree) -> Tree:
    """Apply `f` to each leaf of `tree`, with the leaves at the same place in `rest`.

    Args:
        f: called as ``f(leaf, *leaves_of_rest)``.
        tree: the tree whose structure the result has.
        *rest: trees of the same structure.

    Returns:
        A tree of what `f` returned.

    Raises:
        ValueError: if a tree in `rest` has another structure; the message names the place.

    Example:
        >>> map(lambda a, b: a + b, {"w": 1, "b": [2, 3]}, {"w": 10, "b": [20, 30]})
        {'w': 11, 'b': [22, 33]}
    """
    if not rest:
        return _map_one(f, tree)
    try:
        return _map_two(f, tree, rest[0]) if len(rest) == 1 else _map(f, tree, rest)
    except _MismatchError:
        for other in rest:
            if difference := _difference(tree, other):
                raise ValueError(f"trees differ {difference}") from None
        raise


# Every training step walks its trees a dozen times: the walks below test exact types first, and no path is
# kept on the way, since it can be found when it is needed.
def _map_one(f: Callable[..., Any], tree: Any) -> Any:
    kind = type(tree)
    if kind is dict:
        return {k: _map_one(f, v) for k, v in tree.items()}
    if kind is tuple:
        return tuple([_map_one(f, v) for v in tree])
    if isinstance(tree, _CONTAINERS):
        if isinstance(tree, dict):
            return kind([(k, _map_one(f, v)) for k, v in tree.items()])
        return _rebuild(tree, [_map_one(f, v) for v in tree])
    return None if tree is None else f(tree)


def _map_two(f: Callable[..., Any], tree: Any, other: Any) -> Any:
    kind = type(tree)
    if kind is dict and type(other) is dict and tree.keys() == other.keys():
        return {k: _map_two(f, v, other[k]) for k, v in tree.items()}
    if kind is tuple and type(other) is tuple and len(tree) == len(other):
        return tuple([_map_two(f, v, o) for v, o in zip(tree, other, strict=True)])
    if kind is type(other) and tree is not None and not isinstance(tree, _CONTAINERS):
        return f(tree, other)
    return _map(f, tree, (other,))


def _map(f: Callable[..., Any], tree: Any, rest: Sequence[Any]) -> Any:
    for other in rest:
        if not _same_kind(tree, other):
            raise _MismatchError
    kind = type(tree)
    if kind is dict:
        return {k: _map(f, v, [o[k] for o in rest]) for k, v in tree.items()}
    if isinstance(tree, _CONTAINERS):
        if isinstance(tree, dict):
            return kind((k, _map(f, v, [o[k] for o in rest])) for k, v in tree.items())
        return _rebuild(tree, [_map(f, v, others) for v, *others in zip(tree, *rest, strict=True)])
    return None if tree is None else f(tree, *rest)


def items(tree: Tree, /) -> Iterator[tuple[str, Any]]:
    """Each leaf with its path, the keys joined by dots.

    Example:
        >>> list(items(({"weight": 1, "bias": 2}, {}, {"weight": 3})))
        [('0.weight', 1), ('0.bias', 2), ('2.weight', 3)]
    """
    children: Iterator[tuple[Any, Any]] | None = None
    if isinstance(tree, dict):
        children = iter(tree.items())
    elif isinstance(tree, list | tuple):
        children = iter(enumerate(tree))
    if children is not None:
        for key, child in children:
            for path, leaf in items(child):
                yield f"{key}.{path}" if path else str(key), leaf
    elif tree is not None:
        yield "", tree


def named(tree: Tree, /) -> dict[str, Any]:
    """Return the leaves by their paths, the names in files.

    Raises:
        ValueError: if two leaves have the same path, one of which would be lost.

    Example:
        >>> named(({"weight": 1, "bias": 2}, {}))
        {'0.weight': 1, '0.bias': 2}
    """
    found: dict[str, Any] = {}
    for path, leaf in items(tree):
        if path in found:
            raise ValueError(
                f"two tensors have the name {path[:60]!r}; rename a key (paths join keys by dots)"
            )
        found[path] = leaf
    return found


def leaves(tree: Tree, /) -> list[Any]:
    """The leaves of `tree` from left to right.

    Example:
        >>> leaves({"a": 1, "b": (2, [3, None])})
        [1, 2, 3]
    """
    found: list[Any] = []
    _collect(tree, found)
    return found


def _collect(tree: Any, found: list[Any]) -> None:
    if isinstance(tree, dict):
        for child in tree.values():
            _collect(child, found)
    elif isinstance(tree, list | tuple):
        for child in tree:
            _collect(child, found)
    elif tree is not None:
        found.append(tree)


def structure(tree: Tree, /) -> Tree:
    """The shape of `tree`: the same containers with every leaf replaced by one mark.

    Two trees can be mapped together if their structures are equal.

    Example:
        >>> structure({"a": 1, "b": (2, 3)})
        {'a': *, 'b': (*, *)}
        >>> structure([1, 2]) == structure([5, 6])
        True
    """
    return map(lambda _: _LEAF, tree)


def flatten(tree: Tree, /) -> tuple[list[Any], Tree]:
    """The leaves of `tree` and its structure, which `unflatten` puts together again.

    Example:
        >>> flatten({"a": 1, "b": [2]})
        ([1, 2], {'a': *, 'b': [*]})
    """
    return leaves(tree), structure(tree)


def unflatten(shape: Tree, values: list[Any], /) -> Tree:
    """A tree of the structure `shape` with `values` as its leaves, from left to right.

    Raises:
        ValueError: if the number of values is not the number of leaves.

    Example:
        >>> unflatten(structure({"a": 0, "b": [0]}), [1, 2])
        {'a': 1, 'b': [2]}
    """
    rest = iter(values)
    try:
        built = _map_one(lambda _: next(rest), shape)
    except StopIteration:
        built = _LEAF
    if built is _LEAF or next(rest, _LEAF) is not _LEAF:
        n = len(leaves(shape))
        raise ValueError(f"unflatten: the structure has {n} leaves, got {len(values)} values")
    return built
