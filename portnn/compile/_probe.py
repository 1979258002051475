"""What a function's results are, and what it costs, before it is used for real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import array_api_compat

from portnn import tree
from portnn._typing import Tree
from portnn.program import Program, record
from portnn.tracing import Execute

__all__ = ["probe", "sketch"]

T = TypeVar("T", bound=Tree)


def probe(f: Callable[..., T], *args: Tree) -> T:
    """Call a function for the shapes and dtypes of its results, and for its errors.

    On CuPy, elementwise functions are not executed, since their kernels would have to be compiled: the values
    of the results are undefined. A function that cannot be traced is called.

    Args:
        f: a function of trees of arrays.
        *args: its arguments.
    """
    execute = _layout_only(args)
    if execute is None:
        return f(*args)
    try:
        result: T = record(f, args, execute)[1]
    except (TypeError, AttributeError):  # the call raises if the error is the function's own
        return f(*args)
    return result


def sketch(f: Callable[..., Any], *args: Tree) -> Program | None:
    """Trace a function for what it costs; None if it cannot be traced.

    As for `probe`, CuPy executes no elementwise functions.

    Args:
        f: a function of trees of arrays.
        *args: its arguments.
    """
    try:
        return record(f, args, _layout_only(args))[0]
    except (TypeError, AttributeError):  # if it is the function's own error, a call raises it
        return None


def _layout_only(args: tuple[Tree, ...]) -> Execute | None:
    """Return what keeps CuPy from compiling kernels; None for other libraries."""
    leaves = tree.leaves(args)
    if not any(array_api_compat.is_cupy_array(leaf) for leaf in leaves):
        return None
    from portnn.compile._cupy import LayoutOnly  # only with CuPy

    return LayoutOnly(leaves)
