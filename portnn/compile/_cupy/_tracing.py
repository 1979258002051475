"""Tracing without computing the results of elementwise functions.

A program needs the shapes, dtypes and layouts of its arrays but not their values. CuPy compiles a kernel
for each elementwise function and dtype at its first call; a training step has dozens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, final

import array_api_compat
import numpy as np

from portnn._typing import Array
from portnn.compile._cupy._elementwise import C_TYPES, NAMES, lower
from portnn.tracing import Call, Value, map_nested

__all__ = ["LayoutOnly"]


@final
class LayoutOnly:
    """Executes calls on CuPy arrays for a tape; results that a plan's kernel would compute are uninitialized.

    Args:
        given: the arrays whose values are real: their ids and labels are checked.
    """

    def __init__(self, given: Sequence[Array]) -> None:
        self._given = given

    def __call__(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """Return an array of the shape, dtype and strides of the function's result."""
        if name == "in_range" and not any(args[0] is x for x in self._given):
            return args[0][...]
        found = _unwritten(name, function, args, options)
        return function(*args, **options) if found is None else found


def _unwritten(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> Array | None:
    """Allocate the result of a call that becomes part of a kernel; return None for all others.

    Casts are executed, because they keep the order of axes in memory, which other functions do not.
    """
    arrays = [x for x in args if _is_array(x)]
    if name == "astype" or name not in NAMES or not arrays or any(_is_array(x) for x in options.values()):
        return None
    if any(str(x.dtype) not in C_TYPES for x in arrays):
        return None
    dtype = _dtype(name, tuple([str(x.dtype) if _is_array(x) else (type(x),) for x in args]))
    if not dtype:
        return None
    shape = np.broadcast_shapes(*[tuple(x.shape) for x in arrays])
    made = array_api_compat.array_namespace(arrays[0]).empty(shape, dtype=np.dtype(dtype))
    described = map_nested(lambda x: Value(x) if _is_array(x) else x, args)
    return made if lower(Call(name, function, described, options, Value(made))) is not None else None


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


@cache
def _dtype(name: str, kinds: tuple[Any, ...]) -> str:
    """Return the dtype that NumPy gives a result, for dtypes of arrays and types of numbers.

    Return an empty string if NumPy refuses such arguments.
    """
    xp = array_api_compat.array_namespace(np.empty(0))
    stands = [np.ones(0, kind) if isinstance(kind, str) else _number(*kind) for kind in kinds]
    try:
        return str(getattr(xp, name)(*stands).dtype)
    except (TypeError, ValueError):
        return ""


def _number(kind: type) -> Any:
    return None if kind is type(None) else kind(1)
