"""Running sums, products and differences; products are exact with zeros among the factors."""

from __future__ import annotations

from portnn._typing import Array, Axis, DType
from portnn.ops._arithmetic import multiply, subtract
from portnn.ops._broadcasting import astype, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._half import in_float32
from portnn.ops._helpers import (
    dtype_named,
    indices_at,
    normalize_axes,
    normalize_axis,
    plain_namespace,
    reduced_count,
    zeros_at,
)
from portnn.ops._joining import concat
from portnn.ops._manipulation import cut, expand_dims, flip, pad, permute_dims
from portnn.ops._options import check_flag
from portnn.tracing import at_home, namespace, primitive

__all__ = ["cumulative_prod", "cumulative_sum", "diff", "prod"]


@primitive
def _cumulative_sum(x: Array, /, *, axis: int) -> Array:
    return namespace(x).cumulative_sum(x, axis=axis, dtype=x.dtype)


_cumulative_sum.vjp(lambda g, y, x, axis: flip(_cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis))


def _only_axis(name: str, x: Array, axis: int | None) -> int:
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(
                f"{name}: axis is needed for an array with {len(x.shape)} axes; only 1-D can do without"
            )
        return 0
    return normalize_axis(axis, len(x.shape))


@at_home
def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: DType | str | None = None, include_initial: bool = False
) -> Array:
    """Running sums along an axis.

    Args:
        x: numeric array.
        axis: the axis to sum along; may be left out for one-dimensional arrays.
        dtype: the dtype to sum in; by default as for `sum`.
        include_initial: whether a 0 stands in front, which makes the axis longer by one.

    Returns:
        The sums of the elements up to each place.

    Raises:
        ValueError: if `axis` is left out for an array of several axes.

    Example:
        >>> import numpy as np
        >>> cumulative_sum(np.asarray([1, 2, 3]), include_initial=True).tolist()
        [0, 1, 3, 6]
    """
    check_flag("cumulative_sum", "include_initial", include_initial)
    axis = _only_axis("cumulative_sum", x, axis)
    y = in_float32(_cumulative_sum)(_accumulator(x, dtype), axis=axis)
    return pad(y, axis=axis, before=1, after=0) if include_initial else y


def _accumulator(x: Array, dtype: DType | str | None) -> Array:
    """`x` in the dtype in which the standard says sums and products are taken."""
    xp = plain_namespace(x)
    dtype = dtype_named(xp, dtype)
    if dtype is None:
        if not xp.isdtype(x.dtype, ("bool", "integral")):
            return x
        dtype = xp.sum(zeros_at(x, (0,))).dtype
    return x if x.dtype == dtype else astype(x, dtype)


@primitive
def _cumulative_prod(x: Array, /, *, axis: int) -> Array:
    return namespace(x).cumulative_prod(x, axis=axis, dtype=x.dtype)


def _cumulative_prod_rule(g: Array, y: Array, x: Array, axis: int) -> Array:
    """Each element's gradient is the running product without it, by the gradients from its place on.

    Exact with zeros and differentiable to any order, at the price of n² products for an axis of n.
    """
    n = x.shape[axis]
    xp = plain_namespace(x)
    place = indices_at(x, n)
    along = (n, *[1] * (len(x.shape) - axis - 1))
    element, position = xp.reshape(place, (n, 1, *along[1:])), xp.reshape(place, (1, *along))
    others = where(element == position, 1.0, expand_dims(x, axis=axis))
    products = _cumulative_prod(others, axis=axis + 1)
    later = multiply(xp.astype(position >= element, x.dtype), expand_dims(g, axis=axis))
    return sum_(multiply(products, later), axis=axis + 1)


_cumulative_prod.vjp(_cumulative_prod_rule)


@at_home
def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: DType | str | None = None, include_initial: bool = False
) -> Array:
    """Running products along an axis.

    Args:
        x: numeric array.
        axis: the axis to multiply along; may be left out for one-dimensional arrays.
        dtype: the dtype to multiply in; by default as for `prod`.
        include_initial: whether a 1 stands in front, which makes the axis longer by one.

    Returns:
        The products of the elements up to each place.

    Raises:
        ValueError: if `axis` is left out for an array of several axes.

    Example:
        >>> import numpy as np
        >>> cumulative_prod(np.asarray([1, 2, 3, 4])).tolist()
        [1, 2, 6, 24]
    """
    check_flag("cumulative_prod", "include_initial", include_initial)
    axis = _only_axis("cumulative_prod", x, axis)
    y = in_float32(_cumulative_prod)(_accumulator(x, dtype), axis=axis)
    if not include_initial:
        return y
    return concat([zeros_at(y, (*y.shape[:axis], 1, *y.shape[axis + 1 :])) + 1, y], axis=axis)


@primitive
def _prod(x: Array, /, *, axis: int) -> Array:
    return namespace(x).prod(x, axis=axis, dtype=x.dtype)


def _prod_rule(g: Array, y: Array, x: Array, axis: int) -> Array:
    """The product of the elements before times that of the elements after, so zeros do no harm."""
    n = x.shape[axis]
    before = cut(cumulative_prod(x, axis=axis, include_initial=True), axis=axis, start=0, stop=n)
    after = flip(
        cut(cumulative_prod(flip(x, axis=axis), axis=axis, include_initial=True), axis=axis, start=0, stop=n),
        axis=axis,
    )
    return multiply(expand_dims(g, axis=axis), multiply(before, after))


_prod.vjp(_prod_rule)


def prod(
    x: Array, /, *, axis: Axis = None, dtype: DType | str | None = None, keepdims: bool = False
) -> Array:
    """Product along axes.

    Args:
        x: numeric array.
        axis: the axes to multiply over; None for all.
        dtype: the dtype to multiply in; by default that of `x` for floating-point arrays, and the default
            integer for smaller integers and booleans.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        The products.

    Example:
        >>> import numpy as np
        >>> prod(np.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=1).tolist()
        [2.0, 12.0]
    """
    check_flag("prod", "keepdims", keepdims)
    gone = normalize_axes(axis, len(x.shape))
    kept = [a for a in range(len(x.shape)) if a not in gone]
    shape = tuple([x.shape[a] for a in kept])
    count = reduced_count(x, axis)
    rows = reshape(permute_dims(_accumulator(x, dtype), (*kept, *gone)), (*shape, count))
    y = in_float32(_prod)(rows, axis=len(kept))
    return reshape(y, tuple([1 if a in gone else n for a, n in enumerate(x.shape)])) if keepdims else y


def diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    """Differences between neighbours along an axis, taken `n` times.

    Args:
        x: numeric array.
        axis: the axis along which neighbours are subtracted.
        n: how many times.
        prepend: elements to put in front of `x` first, of its shape apart from `axis`.
        append: elements to put behind `x` first.

    Returns:
        An array whose `axis` is shorter by `n`, or empty; `x` itself if `n` is 0, as in NumPy.

    Raises:
        ValueError: if `n` is negative.

    Example:
        >>> import numpy as np
        >>> diff(np.asarray([1, 4, 9, 16])).tolist()
        [3, 5, 7]
    """
    if n < 0:
        raise ValueError(f"diff: n must be at least 0, got {n}")
    if n == 0:
        return x
    axis = normalize_axis(axis, len(x.shape))
    parts = [a for a in (prepend, x, append) if a is not None]
    y = concat(parts, axis=axis) if len(parts) > 1 else x
    for _ in range(min(n, y.shape[axis])):  # the result is empty by then
        length = y.shape[axis]
        y = subtract(cut(y, axis=axis, start=1, stop=length), cut(y, axis=axis, start=0, stop=length - 1))
    return y
