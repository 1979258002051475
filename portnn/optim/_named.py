"""Parts of a state that are read from outside, found by their names whatever stands around them."""

from __future__ import annotations

from typing import Any

from portnn import ops, tree
from portnn._typing import Array, Tree

__all__ = ["choose", "find", "replace"]


def find(state: Tree, name: str) -> Any:
    """The first part of that name, None if there is none."""
    if isinstance(state, dict) and name in state:
        return state[name]
    for child in _children(state):
        found = find(child, name)
        if found is not None:
            return found
    return None


def replace(state: Tree, name: str, value: Array) -> Tree:
    """The same state with another array in the place of that which `find` finds."""
    sought = find(state, name)
    return tree.map(lambda leaf: value if leaf is sought else leaf, state)


def _children(state: Tree) -> Any:
    if isinstance(state, dict):
        return state.values()
    return state if isinstance(state, list | tuple) else ()


def choose(condition: Array, yes: Tree, no: Tree) -> Tree:
    """One tree or the other as a whole, without asking which: both are there, and the device takes one.

    Args:
        condition: a 0-d boolean array.
        yes: a tree.
        no: a tree of the same structure, shapes and dtypes.
    """
    return tree.map(lambda a, b: ops.where(condition, a, b), yes, no)
