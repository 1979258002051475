"""Shapes and dtypes of a function's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import array_api_compat

from portnn import tree
from portnn._typing import Tree
from portnn.program import record

__all__ = ["probe"]

T = TypeVar("T", bound=Tree)


def probe(f: Callable[..., T], *args: Tree) -> T:
    """Call a function for the shapes and dtypes of its results, and for its errors.

    On CuPy, elementwise functions are not executed, since their kernels would have to be compiled: the values
    of the results are undefined. A function that cannot be traced is called.

    Args:
        f: a function of trees of arrays.
        *args: its arguments.
    """
    leaves = tree.leaves(args)
    if not any(array_api_compat.is_cupy_array(leaf) for leaf in leaves):
        return f(*args)
    from portnn.compile._cupy import LayoutOnly  # only with CuPy

    try:
        result: T = record(f, args, LayoutOnly(leaves))[1]
    except (TypeError, AttributeError):  # the call raises if the error is the function's own
        return f(*args)
    return result
