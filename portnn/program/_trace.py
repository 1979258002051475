"""From a function to a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portnn import tree
from portnn._typing import Array, Tree
from portnn.program._program import Program
from portnn.program._simplify import simplify
from portnn.tracing import RecordedArray, Tape, TracedArray, Value, is_array, namespace, recorded

__all__ = ["record", "trace"]


def record(f: Callable[..., Tree], args: tuple[Tree, ...]) -> tuple[Program, Tree]:
    """The program of ``f(*args)``, as it was written down, and the result.

    Args:
        f: a function of trees. Leaves that are arrays are inputs of the program, all others are part of it.
        args: its arguments.
    """
    leaves = [(path, leaf) for path, leaf in tree.items(args) if is_array(leaf)]
    if not leaves:
        raise TypeError("trace: expected at least one array among the arguments; got none")
    for path, leaf in leaves:
        if isinstance(leaf, RecordedArray | TracedArray):
            raise TypeError(f"trace: argument {path} is being recorded already; call the function itself")
    xp = namespace(*[leaf for _, leaf in leaves])
    box = recorded(xp).array
    inputs: list[Value] = []
    with Tape() as tape:

        def enter(leaf: Any) -> Any:
            if not is_array(leaf):
                return leaf
            inputs.append(Value(leaf))
            return box(leaf, tape, inputs[-1])

        result = f(*tree.map(enter, args))
    for leaf in tree.leaves(result):
        if type(leaf) is TracedArray:
            raise TypeError(
                "trace: the function returned an array of a call of grad or vjp around it; "
                "give what it closes over as an argument"
            )
    program = Program(
        getattr(f, "__name__", "function"),
        xp,
        tuple(inputs),
        tuple([path for path, _ in leaves]),
        tree.map(tape.describe, result),
        tuple(tape.calls),
        tuple(tape.units),
    )
    return program, tree.map(_leave, result)


def _leave(leaf: Any) -> Array:
    return leaf.value if isinstance(leaf, RecordedArray) else leaf


def trace(f: Callable[..., Tree], /) -> Callable[..., Program]:
    """Write down what a function does."""

    def written(*args: Tree) -> Program:
        return simplify(record(f, args)[0])

    return written
