"""Axes and namespaces: small questions that many functions ask."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

from array_api_compat import device

from portnn._typing import Array, Axis, DType, Namespace
from portnn.tracing import TracedArray, namespace, numpy_scalars

__all__ = [
    "checked_axis",
    "indices_at",
    "normalize_axes",
    "normalize_axis",
    "plain",
    "plain_namespace",
    "python_number",
    "reduced_count",
    "zeros_at",
]


def plain(x: Array) -> Array:
    """The array of the underlying library, whether `x` is traced or not."""
    return x.plain if type(x) is TracedArray else x


def plain_namespace(*arrays: Array) -> Namespace:
    """The namespace of the underlying library of arrays that may be traced."""
    return namespace(*[plain(a) for a in arrays])


def normalize_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the first; a ValueError names an axis that does not exist."""
    if not hasattr(axis, "__index__"):
        raise TypeError(f"axis must be an integer, got {type(axis).__name__}")
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis={axis!s:.40} is out of range for an array with {ndim} axes")
    return index(axis) % ndim


def normalize_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return the axes in `axis`, counted from the first; None means all. Raise if one is named twice."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple([normalize_axis(a, ndim) for a in (axis if isinstance(axis, tuple | list) else (axis,))])
    if len({*axes}) < len(axes):
        raise ValueError(f"axis={axis!s:.40} names an axis twice")
    return axes


def checked_axis(axis: Axis, x: Array, more: int = 0) -> Any:
    """Return one or several axes, counted from the first: all libraries then accept and refuse the same."""
    if axis is None:
        return None
    ndim = len(x.shape) + more
    return normalize_axes(axis, ndim) if isinstance(axis, tuple | list) else normalize_axis(axis, ndim)


def held(x: Array, number: int | None) -> int | None:
    """Return the number if the integer dtype of `x` holds it, else None: libraries would wrap or raise."""
    limits = namespace(x).iinfo(x.dtype)
    return number if number is not None and limits.min <= number <= limits.max else None


def reduced_count(x: Array, axis: Axis) -> int:
    """The number of elements that a reduction over `axis` combines into one."""
    if axis is None:
        return prod(x.shape)
    return prod([x.shape[a] for a in normalize_axes(axis, len(x.shape))])


def zeros_at(x: Array, shape: tuple[int, ...]) -> Array:
    """Zeros of another shape in the dtype, library and device of `x`."""
    x = plain(x)
    return namespace(x).zeros(shape, dtype=x.dtype, device=device(x))


def ones_at(x: Array, shape: tuple[int, ...]) -> Array:
    """Ones of another shape in the dtype, library and device of `x`."""
    x = plain(x)
    return namespace(x).ones(shape, dtype=x.dtype, device=device(x))


def indices_at(x: Array, n: int) -> Array:
    """The integers 0 to n - 1 in the library's default integer dtype, on the device of `x`."""
    x = plain(x)
    return namespace(x).arange(n, device=device(x))


def python_number(x: Any) -> Any:
    """Convert a NumPy scalar to a Python number; return anything else unchanged."""
    return x.item() if numpy_scalars[type(x)] else x


def dtype_named(xp: Namespace, dtype: DType | str | None) -> DType | None:
    """The dtype object of a namespace for a name such as "float32"; dtype objects as they are."""
    if not isinstance(dtype, str):
        return dtype
    found = getattr(xp, dtype, None)
    if found is None:
        raise ValueError(
            f"dtype={dtype!r} is not known to {xp.__name__}; use a name of the standard such as 'float32'"
        )
    return found
