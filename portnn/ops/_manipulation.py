"""Manipulation: the same elements in another place. Every rule moves the gradient back."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array
from portnn.ops._broadcasting import reshape
from portnn.ops._helpers import checked_axis, normalize_axes, normalize_axis, zeros_at
from portnn.ops._options import check_whole
from portnn.tracing import namespace, primitive

__all__ = ["expand_dims", "flip", "moveaxis", "permute_dims", "roll", "squeeze"]


@primitive
def cut(x: Array, /, *, axis: int, start: int, stop: int) -> Array:
    """The part ``start:stop`` of one axis (counted from the first)."""
    index: list[Any] = [slice(None)] * len(x.shape)
    index[axis] = slice(start, stop)
    return x[tuple(index)]


@primitive
def pad(x: Array, /, *, axis: int, before: int, after: int) -> Array:
    """Zeros before and after the elements along one axis (counted from the first)."""

    def zeros(n: int) -> list[Array]:
        return [zeros_at(x, (*x.shape[:axis], n, *x.shape[axis + 1 :]))] if n else []

    return namespace(x).concat([*zeros(before), x, *zeros(after)], axis=axis)


# Each is the other's rule.
cut.vjp(lambda g, y, x, axis, start, stop: pad(g, axis=axis, before=start, after=x.shape[axis] - stop))
pad.vjp(lambda g, y, x, axis, before, after: cut(g, axis=axis, start=before, stop=before + x.shape[axis]))


@primitive
def _expand_dims(x: Array, /, *, axis: int) -> Array:
    return namespace(x).expand_dims(x, axis=axis)


_expand_dims.vjp(lambda g, y, x, axis: reshape(g, tuple(x.shape)))


def expand_dims(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """Insert an axis of length one, or several.

    Args:
        x: an array.
        axis: the position of the new axis in the result; a tuple for several axes.

    Returns:
        An array with the new axes; it may share memory with `x`.

    Raises:
        ValueError: if an axis is out of range, or two are the same.

    Example:
        >>> import numpy as np
        >>> expand_dims(np.asarray([1, 2]), axis=1).shape
        (2, 1)
    """
    if isinstance(axis, tuple | list):
        ndim = len(x.shape) + len(axis)
        new = normalize_axes(axis, ndim)
        lengths = iter(x.shape)
        return reshape(x, tuple([1 if i in new else next(lengths) for i in range(ndim)]))
    return _expand_dims(x, axis=normalize_axis(axis, len(x.shape) + 1))


@primitive
def _squeeze(x: Array, /, *, axis: int | tuple[int, ...]) -> Array:
    return namespace(x).squeeze(x, axis=axis)


_squeeze.vjp(lambda g, y, x, axis: reshape(g, tuple(x.shape)))


def squeeze(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """Leave out axes of length one.

    Args:
        x: an array.
        axis: the axes to leave out; each must have length one.

    Returns:
        An array with fewer axes; it may share memory with `x`.

    Example:
        >>> import numpy as np
        >>> squeeze(np.asarray([[1, 2]]), axis=0).shape
        (2,)
    """
    axis = checked_axis(axis, x)
    if {x.shape[a] for a in (axis if isinstance(axis, tuple) else (axis,))} - {1}:
        raise ValueError(f"squeeze: axis={axis} must have length one, got shape {tuple(x.shape)}")
    return _squeeze(x, axis=axis)


@primitive
def _permute_dims(x: Array, /, *, axes: tuple[int, ...]) -> Array:
    return namespace(x).permute_dims(x, axes)


def _permute_rule(g: Array, y: Array, x: Array, axes: tuple[int, ...]) -> Array:
    """The inverse permutation."""
    forward = normalize_axes(axes, len(x.shape))
    return _permute_dims(g, axes=tuple([forward.index(a) for a in range(len(forward))]))


_permute_dims.vjp(_permute_rule)


def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Array:
    """Reorder the axes.

    Args:
        x: an array.
        axes: for each axis of the result, the axis of `x` it was.

    Returns:
        An array with its axes permuted; it may share memory with `x`.

    Raises:
        ValueError: if an axis does not exist, or is not named exactly once.

    Example:
        >>> import numpy as np
        >>> permute_dims(np.zeros((2, 3, 4)), (2, 0, 1)).shape
        (4, 2, 3)
    """
    ndim = len(x.shape)
    order = normalize_axes(tuple(axes), ndim)
    if len(order) != ndim:
        raise ValueError(f"permute_dims: axes must name each of {ndim} axes once, got {tuple(axes)!s:.40}")
    return _permute_dims(x, axes=order)


def moveaxis(x: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Array:
    """Move axes to new places; the others keep their order.

    Args:
        x: an array.
        source: the axes to move.
        destination: where each of them goes.

    Returns:
        An array with its axes permuted.

    Raises:
        ValueError: if the numbers of axes differ, or one is named twice.

    Example:
        >>> import numpy as np
        >>> moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    n = len(x.shape)
    origin, target = [
        [normalize_axis(a, n) for a in (axes if isinstance(axes, tuple | list) else (axes,))]
        for axes in (source, destination)
    ]
    if len(origin) != len(target) or len({*origin}) != len(origin) or len({*target}) != len(target):
        raise ValueError(
            f"moveaxis: source={source} and destination={destination} must name equally many distinct axes"
        )
    order = [a for a in range(n) if a not in origin]
    for to, a in sorted(zip(target, origin, strict=True)):
        order.insert(to, a)
    return permute_dims(x, tuple(order))


@primitive
def _flip(x: Array, /, *, axis: int | tuple[int, ...] | None) -> Array:
    return namespace(x).flip(x, axis=axis)


_flip.vjp(lambda g, y, x, axis: _flip(g, axis=axis))


def flip(x: Array, /, *, axis: int | tuple[int, ...] | None = None) -> Array:
    """Reverse the order of the elements along axes.

    Args:
        x: an array.
        axis: the axes to reverse; None for all.

    Returns:
        An array of the same shape.

    Example:
        >>> import numpy as np
        >>> flip(np.asarray([1, 2, 3])).tolist()
        [3, 2, 1]
    """
    return _flip(x, axis=checked_axis(axis, x))


@primitive
def _roll(x: Array, /, *, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None) -> Array:
    return namespace(x).roll(x, shift, axis=axis)


def _roll_rule(
    g: Array, y: Array, x: Array, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None
) -> Array:
    return _roll(g, shift=-shift if isinstance(shift, int) else tuple([-s for s in shift]), axis=axis)


_roll.vjp(_roll_rule)


def roll(x: Array, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Array:
    """Shift the elements along axes; what leaves at one end comes in at the other.

    Args:
        x: an array.
        shift: by how many places, towards higher indices.
        axis: the axes to shift along; None shifts the flattened array.

    Returns:
        An array of the same shape.

    Example:
        >>> import numpy as np
        >>> roll(np.asarray([1, 2, 3]), 1).tolist()
        [3, 1, 2]
    """
    ndim = len(x.shape)
    if isinstance(axis, tuple | list):
        axis = tuple([normalize_axis(a, ndim) for a in axis])  # NumPy accepts an axis twice
    elif axis is not None:
        axis = normalize_axis(axis, ndim)
    if isinstance(shift, tuple | list):
        shift = tuple([check_whole("roll", "shift", s) for s in shift])
    else:
        shift = check_whole("roll", "shift", shift)
    return _roll(x, shift=shift, axis=axis)
