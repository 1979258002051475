"""From a function to a program."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from portnn import tree
from portnn._typing import Array, Tree
from portnn.program._line import Listing, lines_of
from portnn.program._program import Program
from portnn.program._simplify import simplify
from portnn.tracing import (
    Execute,
    RecordedArray,
    Tape,
    TracedArray,
    Value,
    at_home,
    is_array,
    namespace,
    recorded,
    refuse_objects,
)

__all__ = ["record", "trace"]


@at_home
def record(
    f: Callable[..., Tree], args: tuple[Tree, ...], execute: Execute | None = None, *, units: bool = True
) -> tuple[Program, Tree]:
    """The program of ``f(*args)``, as it was written down, and the result.

    Args:
        f: a function of trees. Leaves that are arrays are inputs of the program, all others are part of it.
        args: its arguments.
        execute: executes the calls; see `Tape`.
        units: whether primitives are recorded too. Without them the lines of the program are its calls.
    """
    paths = [path for path, leaf in tree.items(args) if is_array(leaf)]
    xp = _library(args)
    box = recorded(xp).array
    inputs: list[Value] = []
    with Tape(execute, units=units) as tape:

        def enter(leaf: Any) -> Any:
            if not is_array(leaf):
                return leaf
            refuse_objects(leaf)
            inputs.append(Value(leaf))
            return box(leaf, tape, inputs[-1])

        entered = tree.map(enter, args)
        result = f(*entered)
    for leaf in tree.leaves(result):
        if type(leaf) is TracedArray:
            raise TypeError(
                "trace: the function returned an array of a call of grad or vjp around it; "
                "give what it closes over as an argument"
            )
    name, described, arguments = _name(f), tree.map(tape.describe, result), tree.map(tape.describe, entered)

    # Of neither the function nor the tape anything is kept: a program outlives the arrays that they hold.
    calls, units_made, labels = tuple(tape.calls), tuple(tape.units), _labels(f, paths)

    def write() -> Listing:
        lines = tuple(lines_of(calls, units_made))
        return Listing(name, xp, labels, arguments, tuple(inputs), lines, described)

    program = Program(name, xp, tuple(inputs), tuple(paths), described, calls, write)
    return program, tree.map(_leave, result)


def _library(args: tuple[Tree, ...]) -> Any:
    """The library of the arrays among the arguments."""
    leaves = [(path, leaf) for path, leaf in tree.items(args) if is_array(leaf)]
    if not leaves:
        raise TypeError("trace: expected at least one array among the arguments; got none")
    for path, leaf in leaves:
        if isinstance(leaf, RecordedArray | TracedArray):
            raise TypeError(f"trace: argument {path} is being recorded already; call the function itself")
    return namespace(*[leaf for _, leaf in leaves])


def _leave(leaf: Any) -> Array:
    return leaf.value if isinstance(leaf, RecordedArray) else leaf


def _name(f: Callable[..., Any]) -> str:
    return str(getattr(f, "__name__", type(f).__name__))


def _labels(f: Callable[..., Any], paths: list[str]) -> tuple[str, ...]:
    """The paths, beginning with the names of parameters where the function tells them."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # functions written in C need not tell
        return tuple(paths)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    labels = []
    for path in paths:
        first, dot, rest = path.partition(".")
        labels.append(f"{names[int(first)] if int(first) < len(names) else first}{dot}{rest}")
    return tuple(labels)


def trace(f: Callable[..., Tree], /) -> Callable[..., Program]:
    """Write down what a function does, as a `Program` to read, count, draw, or carry out elsewhere.

    Everything that is done with arrays is on record: forward, backward and the optimiser's step, whatever
    the function calls. Python runs once, so loops are unrolled, and asking for the value of an array, as
    ``if x > 0`` does, is an error that says what to write instead.

    Args:
        f: a function of trees (nested dicts, lists and tuples) of arrays. Leaves that are no arrays are
            part of the program; so are arrays that it closes over, as constants.

    Returns:
        A function of the same arguments that returns the program. It calls `f` once.

    Raises:
        TypeError: when called, if there is no array among the arguments or they are traced already.
        ControlFlowError: when called, if `f` asks for the value of an array.

    Example:
        >>> import numpy as np
        >>> from portnn import ops
        >>> def predict(params, x):
        ...     return ops.linear(x, params["w"], params["b"])
        >>> params = {"w": np.ones((3, 2)), "b": np.zeros(2)}
        >>> print(trace(predict)(params, np.ones((4, 3))))
        predict(params.w, params.b, x)
        inputs
          params.w  float64[3, 2]
          params.b  float64[2]
          x         float64[4, 3]
        lines
          %0        float64[4, 2]  linear(x, params.w, params.b)
        result
          %0
        1 line, 56 flops, 352 bytes
    """

    @at_home
    def written(*args: Tree) -> Program:
        return simplify(record(f, args)[0])

    return written
