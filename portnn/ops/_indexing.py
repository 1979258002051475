"""Indexing by position: slices, integers, arrays of integers, and the gathering functions.

Gradients of gathers are scatters, and where an index comes twice its gradients add up. The sum is taken
in a fixed order (sorted indices, then a segmented scan), so it is the same in every run on every device;
atomic additions, the usual way on GPUs, are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import Any

import array_api_compat

from portnn._typing import Array
from portnn.ops._broadcasting import broadcast_to, match, reshape
from portnn.ops._helpers import indices_at, normalize_axis, plain, plain_namespace, zeros_at
from portnn.ops._manipulation import cut, expand_dims, flip, moveaxis, pad, permute_dims
from portnn.tracing import TracedArray, at_home, in_range, is_kind, namespace, primitive

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


def as_index(indices: Array) -> Array:
    """Return integers in a dtype that every library accepts as indices, signed with at least 32 bits: PyTorch
    refuses others, or takes them for a mask. A value that does not fit is larger than any position.
    """
    xp = namespace(indices)
    if not xp.isdtype(indices.dtype, "integral"):
        return indices
    info, default = xp.iinfo(indices.dtype), indices_at(indices, 0).dtype
    if info.bits >= 32 and info.min < 0:
        return indices
    wide = xp.astype(indices, default)
    limits = xp.iinfo(default)
    return wide if info.bits < limits.bits else xp.where(wide < 0, limits.max, wide)


@primitive
def _take(x: Array, indices: Array, /, *, axis: int) -> Array:
    return namespace(x, indices).take(x, as_index(indices), axis=axis)


def _take_rule(g: Array, y: Array, x: Array, indices: Array, axis: int) -> Array:
    """Scatter along the axis, which goes to the front for that and back."""
    rows = scatter_add(moveaxis(g, axis, 0), from_first(indices, x.shape[axis]), length=x.shape[axis])
    return moveaxis(rows, 0, axis)


@at_home
def from_first(indices: Array, length: int) -> Array:
    """Indices counted from the first element, where negative ones count from the last.

    In the default integer dtype: a byte has no room for a length, nor for a place in rows laid end to end.
    """
    xp = plain_namespace(indices)
    indices = plain(indices)
    indices = xp.astype(as_index(indices), indices_at(indices, 0).dtype, copy=False)
    return xp.where(indices < 0, indices + length, indices)


def positions(what: str, indices: Array, length: int) -> Array:
    """Return checked positions, counted from the first element; negative ones count from the last.

    Args:
        what: the function and its argument, for messages.
        indices: integers of any shape.
        length: how many elements there are.

    Raises:
        TypeError: if the indices are not integers.
        IndexError: if a position does not exist and values are known.
    """
    if not is_kind(indices, "integral"):
        raise TypeError(f"{what} must be integers, got dtype {indices.dtype}; convert with astype")
    if _looks_itself(indices):
        return indices
    return from_first(in_range(indices, what=what, low=-length, high=length), length)


def _looks_itself(indices: Array) -> bool:
    """Return whether the library accepts negative positions, and raises for positions out of range."""
    xp = plain_namespace(indices)
    library = getattr(xp, "recorded", None) or xp
    return library.__name__ in ("array_api_compat.numpy", "array_api_strict")


_take.vjp(_take_rule, None)
scatter_add.vjp(lambda g, y, values, indices, length: _take(g, indices, axis=0), None)


def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """Elements along an axis, chosen by their positions.

    Args:
        x: an array.
        indices: integers of any shape; negative ones count from the last element, and a position may
            occur several times.
        axis: the axis to choose along; may be left out for one-dimensional arrays.

    Returns:
        An array in which `axis` is replaced by the axes of `indices`.

    Raises:
        TypeError: if the indices are not integers.
        ValueError: if `axis` is left out for an array of several axes.
        IndexError: if a position does not exist. Where values are unknown, as inside ``jax.jit``, such a
            position gives NaN.

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
    return gather(x, positions("take: indices", indices, x.shape[axis]), axis=axis)


def gather(x: Array, indices: Array, /, *, axis: int) -> Array:
    """`take` with checked positions, counted from the first element; `axis` is not negative."""
    if len(indices.shape) == 1:
        return _take(x, indices, axis=axis)
    y = _take(x, reshape(indices, (-1,)), axis=axis)
    return reshape(y, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@primitive
def _take_along_axis(x: Array, indices: Array, /, *, axis: int) -> Array:
    xp = namespace(x, indices)
    indices = as_index(indices)
    indices = xp.astype(
        indices, indices_at(indices, 0).dtype, copy=False
    )  # the only dtypes that PyTorch accepts here
    return xp.take_along_axis(x, indices, axis=axis)


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
gather_along_axis = _take_along_axis  # for checked positions; the axis is not negative


def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """Elements along an axis, chosen separately in each row.

    Args:
        x: an array.
        indices: integers with as many axes as `x`; the other axes broadcast with those of `x`.
        axis: the axis to choose along.

    Returns:
        An array of the shape of `indices` (broadcast with `x` apart from `axis`).

    Raises:
        TypeError: if the indices are not integers.
        IndexError: if a position does not exist; as for `take`.

    Example:
        >>> import numpy as np
        >>> take_along_axis(np.asarray([[1, 2], [3, 4]]), np.asarray([[1], [0]]), axis=1).tolist()
        [[2], [3]]
    """
    axis = normalize_axis(axis, len(x.shape))
    return _take_along_axis(x, positions("take_along_axis: indices", indices, x.shape[axis]), axis=axis)


def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Repeat each element.

    Args:
        x: an array.
        repeats: how often; an array gives a number for each element along `axis`, and the shape of the
            result then depends on its values.
        axis: the axis to repeat along; None flattens the array first.

    Returns:
        An array that is longer along `axis`.

    Raises:
        ValueError: if a number is negative.

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
        if repeats < 0:
            raise ValueError(f"repeat: repeats must be 0 or more, got {repeats!s:.40}")
        lead, rest = x.shape[:axis], x.shape[axis + 1 :]
        copies = broadcast_to(expand_dims(x, axis=axis + 1), (*lead, n, repeats, *rest))
        return reshape(copies, (*lead, n * repeats, *rest))
    repeats = as_index(in_range(plain(repeats), what="repeat: repeats", high=2**31))
    xp = plain_namespace(x, repeats)
    return _take(x, xp.repeat(indices_at(x, n), repeats), axis=axis)


_BASIC = (int, slice, type(Ellipsis), type(None))
_ARRAY = object()  # stands for an array in an index whose arrays travel as arguments


@primitive
def _getitem(x: Array, /, *arrays: Array, index: tuple[Any, ...]) -> Array:
    namespace(x, *arrays)
    rest = iter([as_index(a) for a in arrays])
    return x[tuple([next(rest) if entry is _ARRAY else entry for entry in index])]


def _getitem_rule(g: Array, y: Array, x: Array, *arrays: Array, index: tuple[Any, ...]) -> list[Array | None]:
    """Put the gradient back where the elements were taken from, zeros elsewhere."""
    if any(isinstance(e, bool) for e in index) or any(is_kind(a, "bool") and not a.shape for a in arrays):
        back = _unpick_flags(g, x, arrays, index)
    else:
        back = _unpick(g, x, arrays, index) if arrays else _unslice(g, x, index)
    return [back, *[None] * len(arrays)]


_getitem.vjp_joint(_getitem_rule)


def _unpick_flags(g: Array, x: Array, arrays: tuple[Array, ...], index: tuple[Any, ...]) -> Array:
    """The rule where a single True or False stands among the others: the library picks places, too."""
    xp, n = plain_namespace(x), prod(x.shape)
    places = _getitem(xp.reshape(indices_at(x, n), tuple(x.shape)), *[plain(a) for a in arrays], index=index)
    flat = scatter_add(reshape(g, (-1,)), xp.reshape(places, (-1,)), length=n)
    return reshape(flat, tuple(x.shape))


def _unpick(g: Array, x: Array, arrays: tuple[Array, ...], index: tuple[Any, ...]) -> Array:
    """Index by arrays, mixed with integers, slices, `...` and None, by NumPy's rule.

    Integers and arrays are broadcast together and index their axes jointly, flattened here to one axis. If
    they are adjacent, their axes take that place in the result, otherwise they come first.
    """
    # PyTorch applies integers first, so it only sees the axes between two arrays.
    between = not array_api_compat.is_torch_namespace(plain_namespace(x))
    entries, shape = _explicit(index, arrays, tuple(x.shape), apart=between)
    numbers = [i for i, entry in enumerate(entries) if isinstance(entry, int)]
    picked = [i for i, e in enumerate(entries) if not isinstance(e, slice) and (between or i not in numbers)]
    kept = [i for i in range(len(entries)) if i not in picked]
    ranges = [_range(entry, n) for entry, n in zip(entries, shape, strict=True)]
    places: Any = 0
    for i in picked:
        at = ranges[i][0] if i in numbers else from_first(entries[i], shape[i])
        places = places * shape[i] + at
    ndim = len(places.shape)
    split = [i for i in kept if picked[0] < i < picked[-1] and (between or i not in numbers)]
    first = 0 if split else picked[0]
    rest = [len(ranges[i]) for i in kept]
    g = reshape(g, (*rest[:first], *places.shape, *rest[first:]))
    g = permute_dims(g, (*range(first, first + ndim), *range(first), *range(first + ndim, ndim + len(rest))))
    lengths = [shape[i] for i in picked]
    rows = scatter_add(
        reshape(g, (prod(places.shape), *rest)),
        plain_namespace(places).reshape(places, (-1,)),
        length=prod(lengths),
    )
    back = reshape(rows, (*lengths, *rest))
    order = [*picked, *kept]
    back = permute_dims(back, tuple([order.index(i) for i in range(len(order))]))
    for i in kept:
        back = _spread_axis(back, i, ranges[i], shape[i])
    return reshape(back, tuple(x.shape))


def _range(entry: Any, n: int) -> range:
    """Return the positions that an entry takes from an axis of length n; all of them for an array."""
    if isinstance(entry, int):
        return range(entry % n, entry % n + 1)
    return range(n)[entry] if isinstance(entry, slice) else range(n)


def _explicit(
    index: tuple[Any, ...], arrays: tuple[Array, ...], shape: tuple[int, ...], *, apart: bool
) -> tuple[list[Any], tuple[int, ...]]:
    """Return one entry of the index for each axis of an array of `shape`; None adds an axis of length one.

    A mask becomes the positions where it is True.
    """
    rest = iter(arrays)
    entries: list[Any] = []
    for entry in index:
        if entry is not _ARRAY:
            entries.append(entry)
            continue
        array = next(rest)
        entries += plain_namespace(array).nonzero(plain(array)) if is_kind(array, "bool") else [array]
    named = len([e for e in entries if e is not None and e is not Ellipsis])
    at = next((i for i, e in enumerate(entries) if e is Ellipsis), len(entries))
    others: list[Any] = [slice(None)] * (len(shape) - named)
    if apart and not others:
        others = [None]  # an empty ellipsis still separates its neighbors
    entries = [*entries[:at], *others, *entries[at + 1 :]]
    lengths = iter(shape)
    shape = tuple([1 if e is None else next(lengths) for e in entries])
    return [slice(None) if e is None else e for e in entries], shape


def _unslice(g: Array, x: Array, index: tuple[Any, ...]) -> Array:
    """The rule for integers, slices, `...` and None."""
    named = len([e for e in index if e is not None and e is not Ellipsis])
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = (*index[:at], *[slice(None)] * (len(x.shape) - named), *index[at + 1 :])
    entries = [e for e in index if e is not None]
    entries += [slice(None)] * (len(x.shape) - len(entries))
    ranges = [_range(entry, n) for entry, n in zip(entries, x.shape, strict=True)]
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
    """``x[index]`` by integers, slices, ``...``, None, arrays of integers, masks, and any mix of them.

    Lists, tuples and ranges inside the index count as arrays of integers or booleans, as in NumPy. A mix
    that a library refuses for plain arrays is refused here, too.

    Args:
        x: an array, traced or plain.
        index: an index, or a tuple of such.

    Returns:
        The chosen elements.

    Raises:
        TypeError: for a list of anything other than integers or booleans.
        IndexError: if a position does not exist; as for `take`.

    Example:
        >>> import numpy as np
        >>> getitem(np.asarray([[1, 2], [3, 4]]), (slice(None), 1)).tolist()
        [2, 4]
    """
    entries = index if isinstance(index, tuple) else (index,)
    arrays: list[Array] = []
    template: list[Any] = []
    for entry in entries:
        if type(entry) in _BASIC:
            template.append(entry)
        elif _is_position(entry):
            template.append(int(entry))
        elif isinstance(entry, list | tuple | range):
            template.append(_ARRAY)
            arrays.append(_listed(x, entry))
        elif hasattr(entry, "dtype") and hasattr(entry, "shape"):
            template.append(_ARRAY)
            arrays.append(entry)
        else:
            template.append(entry)
    arrays = _existing(x, arrays, template)
    return _getitem(x, *arrays, index=tuple(template))


def _listed(x: Array, entry: Sequence[Any]) -> Array:
    """Convert a list, tuple or range in an index to an array of `x`'s library."""
    xp = plain_namespace(x)
    try:
        made = xp.asarray(entry if len(entry) else [], device=array_api_compat.device(plain(x)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"x[[...]]: expected integers or booleans in the list; {error!s:.150}") from None
    if not len(entry):
        made = xp.astype(made, indices_at(x, 0).dtype)
    if not xp.isdtype(made.dtype, ("bool", "integral")):
        raise TypeError(f"x[[...]]: expected integers or booleans in the list, got dtype {made.dtype!s:.40}")
    return made


def _existing(x: Array, arrays: list[Array], template: list[Any]) -> list[Array]:
    """Return an index whose arrays are checked positions along their axes."""
    if not any(e is _ARRAY or isinstance(e, int) for e in template) or _looks_itself(x):
        return arrays
    rest, checked, axis = iter(arrays), list[Array](), 0
    entries = [next(rest) if e is _ARRAY else e for e in template]
    for i, entry in enumerate(entries):
        if entry is Ellipsis:
            axis = len(x.shape) - sum(map(_axes_of, entries[i + 1 :]))
            continue
        n = x.shape[axis] if axis < len(x.shape) else 0  # the library refuses too many indices
        if template[i] is _ARRAY:
            mask = not is_kind(entry, "integral")  # the library refuses it if it is not a mask
            checked.append(entry if mask else positions(f"x[...]: the index of axis {axis}", entry, n))
        elif isinstance(entry, int) and not isinstance(entry, bool) and n and not -n <= entry < n:
            raise IndexError(f"x[...]: the index of axis {axis} must be from {-n} to {n - 1}, got {entry}")
        axis += _axes_of(entry)
    return checked


def _axes_of(entry: Any) -> int:
    """Return how many axes an entry of an index covers: a mask covers as many as it has."""
    if entry is None or entry is Ellipsis or isinstance(entry, bool):
        return 0
    return len(entry.shape) if hasattr(entry, "shape") and is_kind(entry, "bool") else 1


def _is_position(entry: Any) -> bool:
    """Return whether an entry of an index is a 0-d integer, traced or NumPy's, which counts as an int."""
    if type(entry) is TracedArray:
        return not entry.shape and is_kind(entry.plain, "integral")
    return not isinstance(entry, int) and isinstance(entry, Integral)
