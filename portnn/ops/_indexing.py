"""Indexing by position: slices, integers, arrays of integers, and the gathering functions.

Gradients of gathers are scatters, and where an index comes twice its gradients add up. The sum is taken
in a fixed order (sorted indices, then a segmented scan), so it is the same in every run on every device;
atomic additions, the usual way on GPUs, are not.
"""

from __future__ import annotations

from math import prod
from typing import Any

from portnn._typing import Array
from portnn.autodiff import DifferentiationError
from portnn.ops._broadcasting import broadcast_to, match, reshape
from portnn.ops._helpers import indices_at, normalize_axis, plain, plain_namespace, zeros_at
from portnn.ops._manipulation import cut, expand_dims, flip, moveaxis, pad
from portnn.tracing import TracedArray, is_kind, namespace, primitive

__all__ = ["getitem", "repeat", "take", "take_along_axis"]


@primitive
def scatter_add(values: Array, indices: Array, /, *, length: int) -> Array:
    """Row i of the result (length, ...) is the sum of the rows of `values` (m, ...) whose index is i.

    A segmented inclusive scan over sorted indices (Hillis and Steele 1986; Blelloch 1990): after the
    step of width w each row holds the sum of the 2w rows up to it that have the same index.
    """
    xp = namespace(values, indices)
    m = indices.shape[0]
    if m == 0 or length == 0:
        return zeros_at(values, (length, *values.shape[1:]))
    order = xp.argsort(indices, stable=True)
    ids = xp.astype(xp.take(indices, order, axis=0), order.dtype, copy=False)
    total = xp.take(values, order, axis=0)
    column = (1,) * (len(values.shape) - 1)
    width = 1
    while width < m:
        same = xp.reshape(ids[width:] == ids[:-width], (m - width, *column))
        total = xp.concat(
            [total[:width, ...], total[width:, ...] + xp.where(same, total[:-width, ...], 0.0)], axis=0
        )
        width *= 2
    wanted = indices_at(ids, length)
    last = xp.searchsorted(ids, wanted, side="right") - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    present = xp.reshape(xp.take(ids, last, axis=0) == wanted, (length, *column))
    return xp.where(present, xp.take(total, last, axis=0), 0.0)


@primitive
def _take(x: Array, indices: Array, /, *, axis: int) -> Array:
    return namespace(x, indices).take(x, indices, axis=axis)


def _take_rule(g: Array, y: Array, x: Array, indices: Array, axis: int) -> Array:
    """Scatter along the axis, which goes to the front for that and back."""
    rows = scatter_add(moveaxis(g, axis, 0), from_first(indices, x.shape[axis]), length=x.shape[axis])
    return moveaxis(rows, 0, axis)


def from_first(indices: Array, length: int) -> Array:
    """Indices counted from the first element, where negative ones count from the last.

    In the default integer dtype: a byte has no room for a length, nor for a place in rows laid end to end.
    """
    xp = plain_namespace(indices)
    indices = plain(indices)
    indices = xp.astype(indices, indices_at(indices, 0).dtype, copy=False)
    return xp.where(indices < 0, indices + length, indices)


_take.vjp(_take_rule, None)
scatter_add.vjp(lambda g, y, values, indices, length: _take(g, indices, axis=0), None)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """Elements along an axis, chosen by their positions.

    Args:
        x: an array.
        indices: integers of any shape; a position may come several times.
        axis: the axis to choose along; may be left out for one-dimensional arrays.

    Returns:
        An array in which `axis` is replaced by the axes of `indices`.

    Raises:
        ValueError: if `axis` is left out for an array of several axes.
        IndexError: if a position does not exist and the library checks it (JAX, for one, does not).

    Example:
        >>> import numpy as np
        >>> take(np.asarray([10, 20, 30]), np.asarray([2, 0, 2])).tolist()
        [30, 10, 30]
    """
    if axis is None and len(x.shape) != 1:
        raise ValueError(
            f"take: axis is needed for an array with {len(x.shape)} axes; only 1-D can do without"
        )
    axis = normalize_axis(axis or 0, len(x.shape))
    if len(indices.shape) == 1:
        return _take(x, indices, axis=axis)
    y = _take(x, reshape(indices, (-1,)), axis=axis)
    return reshape(y, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@primitive
def _take_along_axis(x: Array, indices: Array, /, *, axis: int) -> Array:
    return namespace(x, indices).take_along_axis(x, indices, axis=axis)


def _take_along_axis_rule(g: Array, y: Array, x: Array, indices: Array, axis: int) -> Array:
    """Scatter into the rows laid end to end."""
    n = x.shape[axis]
    stretched = (*g.shape[:axis], n, *g.shape[axis + 1 :])
    rows = prod(g.shape[:axis]) * prod(g.shape[axis + 1 :])
    xp = plain_namespace(g, indices)
    columns = xp.reshape(
        from_first(moveaxis(broadcast_to(plain(indices), tuple(g.shape)), axis, -1), n), (rows, -1)
    )
    first = xp.expand_dims(indices_at(columns, rows) * n, axis=1)
    places = xp.reshape(xp.astype(columns, first.dtype) + first, (-1,))
    flat = scatter_add(reshape(moveaxis(g, axis, -1), (-1,)), places, length=rows * n)
    lead = (*stretched[:axis], *stretched[axis + 1 :], n)
    return match(moveaxis(reshape(flat, lead), -1, axis), x)


_take_along_axis.vjp(_take_along_axis_rule, None)


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """Elements along an axis, chosen separately in each row.

    Args:
        x: an array.
        indices: integers with as many axes as `x`; the other axes broadcast with those of `x`.
        axis: the axis to choose along.

    Returns:
        An array of the shape of `indices` (broadcast with `x` apart from `axis`).

    Example:
        >>> import numpy as np
        >>> take_along_axis(np.asarray([[1, 2], [3, 4]]), np.asarray([[1], [0]]), axis=1).tolist()
        [[2], [3]]
    """
    return _take_along_axis(x, indices, axis=normalize_axis(axis, len(x.shape)))


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Repeat each element.

    Args:
        x: an array.
        repeats: how often; an array gives a number for each element along `axis`, and the shape of the
            result then depends on its values.
        axis: the axis to repeat along; None flattens the array first.

    Returns:
        An array that is longer along `axis`.

    Example:
        >>> import numpy as np
        >>> repeat(np.asarray([1, 2]), 2).tolist()
        [1, 1, 2, 2]
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(axis, len(x.shape))
    n = x.shape[axis]
    if isinstance(repeats, int):
        lead, rest = x.shape[:axis], x.shape[axis + 1 :]
        copies = broadcast_to(expand_dims(x, axis=axis + 1), (*lead, n, repeats, *rest))
        return reshape(copies, (*lead, n * repeats, *rest))
    repeats = plain(repeats)
    xp = plain_namespace(x, repeats)
    return _take(x, xp.repeat(indices_at(x, n), repeats), axis=axis)


_ARRAY = object()  # stands for an array in an index whose arrays travel as arguments


@primitive
def _getitem(x: Array, /, *arrays: Array, index: tuple[Any, ...]) -> Array:
    namespace(x, *arrays)
    rest = iter(arrays)
    return x[tuple([next(rest) if entry is _ARRAY else entry for entry in index])]


def _getitem_rule(g: Array, y: Array, x: Array, *arrays: Array, index: tuple[Any, ...]) -> list[Array | None]:
    """Put the gradient back where the elements were taken from, zeros elsewhere."""
    if True in [isinstance(entry, bool) for entry in index]:
        raise DifferentiationError("x[True] has no derivative rule; use x[None, ...]")
    back = _unpick(g, x, arrays, index) if arrays else _unslice(g, x, index)
    return [back, *[None] * len(arrays)]


_getitem.vjp_joint(_getitem_rule)


def _unpick(g: Array, x: Array, arrays: tuple[Array, ...], index: tuple[Any, ...]) -> Array:
    """The rule for integers and integer arrays over the leading axes, which count as one long axis."""
    xp = plain_namespace(*arrays)
    for entry in index:
        if entry is not _ARRAY and not isinstance(entry, int):
            raise DifferentiationError(
                "x[...]: an index that mixes arrays with slices has no derivative rule; "
                "use ops.take or ops.take_along_axis"
            )
    if any(not xp.isdtype(a.dtype, "integral") for a in arrays):
        raise DifferentiationError("x[mask] has no derivative rule; use ops.where(mask, x, 0.0)")
    rest = iter(arrays)
    places: Any = 0
    lengths = x.shape[: len(index)]
    for entry, n in zip(index, lengths, strict=True):
        at = from_first(next(rest), n) if entry is _ARRAY else entry % n
        places = places * n + at
    flat = scatter_add(
        reshape(g, (prod(places.shape), *x.shape[len(index) :])),
        xp.reshape(places, (-1,)),
        length=prod(lengths),
    )
    return reshape(flat, tuple(x.shape))


def _unslice(g: Array, x: Array, index: tuple[Any, ...]) -> Array:
    """The rule for integers, slices, `...` and None."""
    named = len([e for e in index if e is not None and e is not Ellipsis])
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = (*index[:at], *[slice(None)] * (len(x.shape) - named), *index[at + 1 :])
    entries = [e for e in index if e is not None]
    entries += [slice(None)] * (len(x.shape) - len(entries))
    ranges = [
        range(n)[e] if isinstance(e, slice) else range(e % n, e % n + 1)
        for e, n in zip(entries, x.shape, strict=True)
    ]
    g = reshape(g, tuple([len(r) for r in ranges]))
    for axis, (r, n) in enumerate(zip(ranges, x.shape, strict=True)):
        g = _spread_axis(g, axis, r, n)
    return g


def _spread_axis(g: Array, axis: int, places: range, length: int) -> Array:
    """Move the elements along one axis to their places on a longer one, zeros between them."""
    if len(places) == length and places.step == 1:
        return g
    if len(places) == 0:
        return pad(g, axis=axis, before=length, after=0)
    if places.step < 0:
        g, places = flip(g, axis=axis), places[::-1]
    step, span = places.step, places[-1] - places[0] + 1
    if step > 1 and len(places) > 1:
        apart = pad(expand_dims(g, axis=axis + 1), axis=axis + 1, before=0, after=step - 1)
        g = reshape(apart, (*g.shape[:axis], len(places) * step, *g.shape[axis + 1 :]))
        g = cut(g, axis=axis, start=0, stop=span)
    return pad(g, axis=axis, before=places[0], after=length - places[0] - span)


def getitem(x: Array, index: Any, /) -> Array:
    """``x[index]`` by integers, slices, ``...``, None, and arrays of integers.

    Boolean masks work as values but have no derivative; `where` has.

    Args:
        x: an array, traced or plain.
        index: an index as the standard defines them, or a tuple of such.

    Returns:
        The chosen elements.

    Raises:
        DifferentiationError: in the backward pass, for a mask or for arrays mixed with slices.

    Example:
        >>> import numpy as np
        >>> getitem(np.asarray([[1, 2], [3, 4]]), (slice(None), 1)).tolist()
        [2, 4]
    """
    entries = index if isinstance(index, tuple) else (index,)
    arrays: list[Array] = []
    template: list[Any] = []
    for entry in entries:
        if _is_position(entry):
            template.append(int(entry))
        elif isinstance(entry, list):
            raise TypeError("x[[...]]: a list is no index in the standard; make it an array, or use ops.take")
        elif hasattr(entry, "dtype") and hasattr(entry, "shape"):
            template.append(_ARRAY)
            arrays.append(entry)
        else:
            template.append(entry)
    return _getitem(x, *arrays, index=tuple(template))


def _is_position(entry: Any) -> bool:
    """Whether an entry of an index is a traced integer without axes, which counts as an int."""
    return type(entry) is TracedArray and not entry.shape and is_kind(entry.plain, "integral")
