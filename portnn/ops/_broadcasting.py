"""Broadcasting and its reverse: the few functions whose rules need one another.

If ``y = f(x)`` stretches `x` or changes its dtype, the gradient has to come back to the shape and dtype
of `x`. `match` does that for every rule in this package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from portnn._typing import Array, ArrayLike, Axis, Device, DType, Namespace
from portnn.ops._comparison import not_equal
from portnn.ops._helpers import checked_axis, dtype_named, normalize_axes, plain, plain_namespace
from portnn.ops._options import check_flag
from portnn.tracing import constant, namespace, primitive

__all__ = ["astype", "broadcast_to", "reshape", "sum", "where"]


def match(g: Array, x: Array) -> Array:
    """Undo broadcasting and promotion: sum `g` to the shape of `x` and give it its dtype.

    An element of `x` that was stretched was used many times; its gradient is the sum over its uses.
    """
    shape = x.shape
    if g.shape != shape:
        lead = len(g.shape) - len(shape)
        stretched = [i + lead for i, n in enumerate(shape) if n == 1 and g.shape[i + lead] != 1]
        g = sum(g, axis=(*range(lead), *stretched))
        if g.shape != shape:
            g = reshape(g, tuple(shape))
    return g if g.dtype == x.dtype else _cast(g, dtype=x.dtype)


@primitive
def _cast(x: Array, /, *, dtype: DType, copy: bool = False, device: Device = None) -> Array:
    """Convert between real floating-point dtypes."""
    xp = namespace(x)
    return xp.astype(x, dtype, copy=copy) if device is None else xp.astype(x, dtype, copy=copy, device=device)


_cast.vjp(lambda g, y, x, **_: _cast(g, dtype=x.dtype))


@constant
def _cast_away(x: Array, /, *, dtype: DType, copy: bool, device: Device = None) -> Array:
    """Convert to a dtype that carries no derivative."""
    return _cast.function(x, dtype=dtype, copy=copy, device=device)


@primitive
def _cast_complex(x: Array, /, *, dtype: DType, copy: bool, device: Device = None) -> Array:
    """Convert to complex; without a rule, since portnn differentiates real functions only."""
    return _cast.function(x, dtype=dtype, copy=copy, device=device)


_cast_complex.name = "astype"  # the name that errors give


@cache
def _cast_to(xp: Namespace, dtype: DType) -> Callable[..., Array]:
    """The kind of cast that leads to a dtype; remembered, since libraries take microseconds to say."""
    if xp.isdtype(dtype, "real floating"):
        return _cast
    return _cast_complex if xp.isdtype(dtype, "complex floating") else _cast_away


def astype(x: Array, dtype: DType | str, /, *, copy: bool = True, device: Device | None = None) -> Array:
    """Convert to another dtype; the gradient is converted back.

    A conversion to integers or booleans has no derivative, and its result is a constant.

    Args:
        x: an array.
        dtype: the dtype to convert to, an object of the array's library or a name such as "float32".
        copy: whether to copy if `x` has the dtype already.
        device: where to put the result (2024.12); by default where `x` is.

    Returns:
        An array of the same shape with the dtype `dtype`.

    Raises:
        TypeError: if `dtype` is one of another library.

    Example:
        >>> import numpy as np
        >>> astype(np.asarray([1.7, -1.7]), np.int64).tolist()
        [1, -1]
    """
    check_flag("astype", "copy", copy)
    xp = plain_namespace(x)
    dtype = dtype_named(xp, dtype)
    if not copy and device is None and dtype == x.dtype:
        return x
    try:
        cast = _cast_to(xp, dtype)
    except (AttributeError, TypeError):
        raise TypeError(
            f"astype: {str(dtype)[:40]} is no dtype of the library of x; name it, as in 'float32'"
        ) from None
    return cast(x, dtype=dtype, copy=copy, device=device)


@primitive
def _reshape(x: Array, /, *, shape: tuple[int, ...], copy: bool | None = None) -> Array:
    return namespace(x).reshape(x, shape) if copy is None else namespace(x).reshape(x, shape, copy=copy)


_reshape.vjp(lambda g, y, x, **_: _reshape(g, shape=tuple(x.shape)))


_halves: dict[tuple[type, DType], bool] = {}


def is_half(x: Any, dtype: DType | None = None) -> bool:
    """Return whether the dtype of an array (or the given dtype) is floating-point and narrower than float32.

    Results are cached.
    """
    x = plain(x)
    dtype = getattr(x, "dtype", None) if dtype is None else dtype
    if dtype is None:
        return False
    known = _halves.get((type(x), dtype))  # dtypes of different libraries may not compare
    if known is None:
        xp = plain_namespace(x)
        try:
            known = bool(xp.isdtype(dtype, "real floating") and xp.finfo(dtype).bits < 32)
        except TypeError:  # such as bfloat16 of the package ml_dtypes, which NumPy does not know
            raise TypeError(
                f"expected a dtype of the Array API standard, got dtype {dtype!s:.60}; "
                "convert it with x.astype('float32')"
            ) from None
        _halves[type(x), dtype] = known
    return known


def reshape(x: Array, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """The same elements, in row-major order, under another shape.

    Args:
        x: an array.
        shape: the new shape; one length may be -1 and is worked out.
        copy: True copies, False never does (and fails where it must), None copies if it must.

    Returns:
        An array of the shape `shape`.

    Raises:
        ValueError: if a length is below -1, which NumPy would take for -1.

    Example:
        >>> import numpy as np
        >>> reshape(np.asarray([1, 2, 3, 4]), (2, -1)).tolist()
        [[1, 2], [3, 4]]
    """
    if shape and min(shape) < -1:
        raise ValueError(f"reshape: expected lengths of at least -1, got shape {shape!s:.80}")
    return _reshape(x, shape=shape, copy=copy)


@primitive
def _broadcast_to(x: Array, /, *, shape: tuple[int, ...]) -> Array:
    return namespace(x).broadcast_to(x, shape)


_broadcast_to.vjp(lambda g, y, x, shape: match(g, x))


def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Repeat `x` along axes of length one, and along new ones in front, without copying where possible.

    Args:
        x: an array.
        shape: a shape that the shape of `x` broadcasts to.

    Returns:
        An array of the shape `shape`; it may share memory with `x`.

    Example:
        >>> import numpy as np
        >>> broadcast_to(np.asarray([1, 2]), (2, 2)).tolist()
        [[1, 2], [1, 2]]
    """
    return _broadcast_to(x, shape=shape)


def keep(y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """A reduced array with its reduced axes as axes of length one, so that it broadcasts with `x`."""
    if keepdims:
        return y
    gone = normalize_axes(axis, len(x.shape))
    return _reshape(y, shape=tuple([1 if i in gone else n for i, n in enumerate(x.shape)]))


@primitive
def _sum(x: Array, /, *, axis: Axis, dtype: DType, keepdims: bool) -> Array:
    return namespace(x).sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


_sum.vjp(
    lambda g, y, x, axis, dtype, keepdims: match(broadcast_to(keep(g, x, axis, keepdims), tuple(x.shape)), x),
)


def sum(x: Array, /, *, axis: Axis = None, dtype: DType | str | None = None, keepdims: bool = False) -> Array:
    """Sum over one axis, several, or all.

    Args:
        x: numeric array.
        axis: the axes to sum over.
        dtype: the dtype to sum in; by default that of `x` for floating-point arrays (float32, rounded at the
            end, for the half precisions), and the default integer for smaller integers.
        keepdims: whether the summed axes stay, with length one.

    Returns:
        The sums.

    Example:
        >>> import numpy as np
        >>> sum(np.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=1).tolist()
        [3.0, 7.0]
    """
    check_flag("sum", "keepdims", keepdims)
    if isinstance(dtype, str):
        dtype = dtype_named(plain_namespace(x), dtype)
    axis = checked_axis(axis, x)
    if is_half(x, dtype):
        wide = dtype_named(plain_namespace(x), "float32")
        total = _sum(x, axis=axis, dtype=wide, keepdims=keepdims)
        return _cast(total, dtype=x.dtype if dtype is None else dtype)
    return _sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


def show_nan(g: Array, y: Array) -> Array:
    """Return a gradient that is NaN where the result is: a zero would hide the NaN from earlier layers."""
    return where(not_equal(y, y), float("nan"), g)


@primitive
def where(condition: Array, x1: ArrayLike, x2: ArrayLike, /) -> Array:
    """Elements of `x1` where the condition holds, of `x2` elsewhere.

    The branch that is not chosen gets a gradient of zero. If its own derivative is infinite there, zero
    times infinity is NaN: replace its *input* by a harmless one with a second `where`.

    Args:
        condition: boolean array.
        x1: array that broadcasts with the others, or a Python scalar if `x2` is an array.
        x2: array that broadcasts with the others, or a Python scalar if `x1` is an array.

    Returns:
        An array of the broadcast shape and the promoted dtype of `x1` and `x2`.

    Example:
        >>> import numpy as np
        >>> where(np.asarray([True, False]), np.asarray([1.0, 2.0]), 0.0).tolist()
        [1.0, 0.0]
    """
    return namespace(condition, x1, x2).where(condition, x1, x2)


where.vjp(
    None,
    lambda g, y, c, x1, x2: match(where(c, g, 0.0), x1),
    lambda g, y, c, x1, x2: match(where(c, 0.0, g), x2),
)
