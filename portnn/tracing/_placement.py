"""The device of a computation. CuPy computes on the current GPU, which may not be the GPU of its arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import array_api_compat

from portnn.tracing._array import TracedArray
from portnn.tracing._namespace import numpy_scalars

__all__ = ["at_home", "is_anywhere", "on_device_of"]

P = ParamSpec("P")
R = TypeVar("R")

_NOWHERE: AbstractContextManager[object] = nullcontext()

is_anywhere: set[type] = {bool, int, float, complex, str, type(None)}
"""Known types that need no current device. It grows, because checking a type takes microseconds."""


def on_device_of(*items: Any) -> AbstractContextManager[object]:
    """Return a context in which the library of the first array computes on the device of that array.

    Args:
        *items: arrays, and nested tuples, lists and dicts of arrays and anything else.
    """
    first = next(_arrays(items), None)
    if first is None or type(first) in is_anywhere:
        return _NOWHERE
    context: AbstractContextManager[object] = first.device  # CuPy's devices are contexts
    return context


def at_home(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function compute on the device of its first array."""

    @wraps(function)
    def wrapper(*args: P.args, **options: P.kwargs) -> R:
        context = on_device_of(args, options)
        if context is _NOWHERE:
            return function(*args, **options)
        with context:
            return function(*args, **options)

    return wrapper


def _arrays(items: Any) -> Iterator[Any]:
    """Yield the arrays among nested items, from left to right."""
    for each in items:
        item = each.plain if type(each) is TracedArray else each
        kind = type(item)
        if kind is dict:
            yield from _arrays(item.values())
        elif isinstance(item, tuple | list):
            yield from _arrays(item)
        elif numpy_scalars[kind]:
            continue  # not added to `is_anywhere`, because `Primitive` converts it
        elif kind not in is_anywhere and not array_api_compat.is_cupy_array(item):
            is_anywhere.add(kind)
        if hasattr(item, "shape"):
            yield item
