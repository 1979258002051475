"""Libraries that have a compiler of their own: the function is handed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.tracing import is_array

__all__ = ["JaxPlan", "TorchPlan"]


class _Flat:
    """A function of trees as a function of the arrays in them.

    Args:
        f: the function, ``f(*args[0], **args[1])``.
        args: arguments of the signature in question.
    """

    def __init__(self, f: Callable[..., Tree], args: Tree) -> None:
        self._f = f
        self._like = tree.map(lambda leaf: _PLACE if is_array(leaf) else leaf, args)
        self._result: Tree = None

    def __call__(self, *arrays: Array) -> list[Array]:
        rest = iter(arrays)
        args, options = tree.map(lambda leaf: next(rest) if leaf is _PLACE else leaf, self._like)
        result = self._f(*args, **options)
        found = [leaf for leaf in tree.leaves(result) if is_array(leaf)]
        self._result = tree.map(lambda leaf: _PLACE if is_array(leaf) else leaf, result)
        return found

    def rebuild(self, arrays: Sequence[Array]) -> Tree:
        """The result with its arrays in their places."""
        rest = iter(arrays)
        return tree.map(lambda leaf: next(rest) if leaf is _PLACE else leaf, self._result)


_PLACE = object()


@final
class JaxPlan:
    """A function compiled by ``jax.jit``.

    Args:
        f: the function, ``f(*args[0], **args[1])``.
        args: arguments of the signature.
    """

    def __init__(self, f: Callable[..., Tree], args: Tree) -> None:
        import jax

        self._flat = _Flat(f, args)
        self._compiled = jax.jit(self._flat)

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        return self._flat.rebuild(self._compiled(*arrays))

    def explain(self) -> str:
        """Who compiles."""
        return "compiled by jax.jit"


@final
class TorchPlan:
    """A function compiled by ``torch.compile``.

    Args:
        f: the function, ``f(*args[0], **args[1])``.
        args: arguments of the signature.
    """

    def __init__(self, f: Callable[..., Tree], args: Tree) -> None:
        import torch

        self._flat = _Flat(f, args)
        self._compiled: Any = torch.compile(self._flat)

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        return self._flat.rebuild(self._compiled(*arrays))

    def explain(self) -> str:
        """Who compiles."""
        return "compiled by torch.compile"
