"""Half precisions: sums, squares and exponentials are computed in float32 and rounded at the end.

Squares in float16 overflow above 255 and vanish below 0.0002, and a running sum of ones stops at 2048 in
float16 and at 256 in bfloat16. PyTorch accumulates in float32, too. The conversion is that of `astype`, so
gradients are also computed in float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from portnn import tree
from portnn._typing import DType
from portnn.ops._broadcasting import astype, is_half
from portnn.tracing import is_kind

__all__ = ["in_float32", "is_half", "rounded", "widened"]

P = ParamSpec("P")
R = TypeVar("R")


def widened(x: Any) -> Any:
    """Return a half-precision array in float32, anything else unchanged."""
    return astype(x, "float32") if is_half(x) else x


def rounded(result: Any, dtype: DType) -> Any:
    """Cast the floating-point arrays of a result to a dtype."""
    return tree.map(lambda y: astype(y, dtype) if is_kind(y, "real floating") else y, result)


def in_float32(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function compute in float32 where its arguments are in a half precision.

    The result has the half precision if all floating-point arguments have it, else the wider dtype.
    """

    @wraps(function)
    def wrapper(*args: P.args, **options: P.kwargs) -> R:
        given = [*args, *options.values()]
        for x in given:
            if is_half(x):
                break
        else:
            return function(*args, **options)
        dtypes = [x.dtype for x in given if hasattr(x, "dtype") and is_kind(x, "real floating")]
        wide: Any = function
        result = wide(*map(widened, args), **{name: widened(x) for name, x in options.items()})
        same = all(dtype == dtypes[0] for dtype in dtypes)
        return rounded(result, dtypes[0]) if same else result

    return wrapper
